// The forms of one cell header with every activation, for the drivers. The build compiles this file once for each header in
// ../cells/forms.h and value type, and says
//
//     REAL                float or double
//     HEADER              "../cells/gru.h"
//     FORMS(Phi, Sigma)   FORM(GRU<Phi, Sigma, true>) FORM(GRU<Phi, Sigma, false>)
#include "pointwise.h"
#include "registry.h"

#include "../cells/activations.h"

#include HEADER

namespace {

template <class C> Cell<REAL> describe() {
    Cell<REAL> cell{};
    cell.gates = C::GATES;
    cell.states = C::STATES;
    cell.saved = C::SAVED;
    cell.extras = C::EXTRAS;
    cell.phases = C::PHASES;
    cell.shared = C::SHARED;
    cell.first[0] = C::template FIRST<0>, cell.count[0] = C::template COUNT<0>;
    cell.forward[0] = forward_rows<C, 0, REAL>, cell.backward[0] = backward_rows<C, 0, REAL>;
    if constexpr (C::PHASES == 2) {
        cell.first[1] = C::template FIRST<1>, cell.count[1] = C::template COUNT<1>;
        cell.forward[1] = forward_rows<C, 1, REAL>, cell.backward[1] = backward_rows<C, 1, REAL>;
        cell.operand = operand_row<C, REAL>;
    }
    return cell;
}

// A type without Sigma comes once for each Sigma: the second time it is known.
[[maybe_unused]] const bool registered = [] {
#define FORM(...) registry<REAL>().emplace(#__VA_ARGS__, describe<__VA_ARGS__>());
#define WITH_EVERY_SIGMA(Phi) FORMS(Phi, Sigmoid) FORMS(Phi, HardSigmoid)
    WITH_EVERY_SIGMA(Tanh)
    WITH_EVERY_SIGMA(Relu)
    WITH_EVERY_SIGMA(Sigmoid)
    WITH_EVERY_SIGMA(Linear)
    WITH_EVERY_SIGMA(HardSigmoid)
    return true;
}();

}  // namespace
