// The forms of one cell header with every activation, for the drivers. The build compiles this file once for
// each header in ../cells/forms.h and value type, and says
//
//     REAL                float or double
//     HEADER              "../cells/gru.h"
//     FORMS(Phi, Sigma)   FORM(GRU<Phi, Sigma, true>) FORM(GRU<Phi, Sigma, false>)
#include "limits.h"
#include "pointwise.h"
#include "registry.h"

#include "../cells/activations.h"

#include HEADER

namespace {

template <class C, class V, int K> void add_phase(Cell<REAL>& cell) {
    cell.first[K] = C::template FIRST<K>;
    cell.count[K] = C::template COUNT<K>;
    cell.forward[K] = forward_rows<C, K, V, REAL>;
    cell.backward[K] = backward_rows<C, K, V, REAL>;
    if constexpr (K > 0) cell.operand[K] = operand_row<C, K, V, REAL>;
    if constexpr (K + 1 < C::PHASES) add_phase<C, V, K + 1>(cell);
}

// V: the value type on which the cell's functions run.
template <class C, class V> Cell<REAL> describe() {
    static_assert(sizeof(WithinLimits<C>) > 0);
    Cell<REAL> cell{};
    cell.gates = C::GATES;
    cell.states = C::STATES;
    cell.saved = C::SAVED;
    cell.extras = C::EXTRAS;
    cell.phases = C::PHASES;
    cell.shared = C::SHARED;
    add_phase<C, V, 0>(cell);
    return cell;
}

template <class C> Cell<REAL> describe_both() {
    static const Cell<REAL> dual = describe<C, Dual<Pair<REAL>>>();
    Cell<REAL> cell = describe<C, Pair<REAL>>();
    cell.dual = &dual;
    return cell;
}

// A type without Sigma comes once for each Sigma: the second time it is known.
[[maybe_unused]] const bool registered = [] {
#define FORM(...) registry<REAL>().emplace(#__VA_ARGS__, describe_both<__VA_ARGS__>());
#define WITH_EVERY_SIGMA(Phi) FORMS(Phi, Sigmoid) FORMS(Phi, HardSigmoid)
    WITH_EVERY_SIGMA(Tanh)
    WITH_EVERY_SIGMA(Relu)
    WITH_EVERY_SIGMA(Sigmoid)
    WITH_EVERY_SIGMA(Linear)
    WITH_EVERY_SIGMA(HardSigmoid)
    return true;
}();

}  // namespace
