// Every cell with every activation, for the drivers: the one list that a new cell is added to.
// Compiled once with REAL=float and once with REAL=double.
#include "pointwise.h"

#include "../cells/activations.h"

#include "../cells/gru.h"
#include "../cells/lstm.h"
#include "../cells/peephole_lstm.h"
#include "../cells/simple_rnn.h"

namespace {

template <class C> Cell<REAL> describe() {
    Cell<REAL> cell{};
    cell.gates = C::GATES, cell.states = C::STATES, cell.saved = C::SAVED, cell.extras = C::EXTRAS, cell.phases = C::PHASES;
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

template <class Phi, class Sigma> Cell<REAL> by_cell(int64_t cell) {
    switch (cell) {
        case 1: return describe<LSTM<Phi, Sigma>>();
        case 2: return describe<PeepholeLSTM<Phi, Sigma>>();
        case 3: return describe<GRU<Phi, Sigma, true>>();
        case 4: return describe<GRU<Phi, Sigma, false>>();
        default: return describe<SimpleRNN<Phi>>();
    }
}

template <class Phi> Cell<REAL> by_recurrent(int64_t cell, int64_t recurrent) {
    return recurrent == 0 ? by_cell<Phi, Sigmoid>(cell) : by_cell<Phi, HardSigmoid>(cell);
}

}  // namespace

template <> Cell<REAL> find_cell<REAL>(int64_t cell, int64_t activation, int64_t recurrent) {
    switch (activation) {
        case 0: return by_recurrent<Tanh>(cell, recurrent);
        case 1: return by_recurrent<Relu>(cell, recurrent);
        case 2: return by_recurrent<Sigmoid>(cell, recurrent);
        case 3: return by_recurrent<Linear>(cell, recurrent);
        default: return by_recurrent<HardSigmoid>(cell, recurrent);
    }
}
