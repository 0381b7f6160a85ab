// What step.cu and sequence.cu begin with: the cell and its sizes, its phases as constants, masks.
//
// Macros before it: CELL, the type of the cell (cells/simple_rnn.h says what that is), and REAL, that of the
// arithmetic.

using Cell = CELL;
constexpr int G = Cell::GATES;
constexpr int S = Cell::STATES;
constexpr int A = Cell::SAVED;
constexpr int E = Cell::EXTRAS;
constexpr int LAST = Cell::PHASES - 1;
constexpr int W = A > G ? A : G;  // arrays of a unit in xg, where what is saved may take the place of x Wx

static_assert(S <= 4, "at most 4 states: the kernels have tape0 to tape3");
static_assert(Cell::PHASES <= 3, "at most 3 phases");
static_assert(G <= 6 && A <= 6 && E <= 4, "at most 6 gates, 6 saved arrays, 4 extras");
static_assert(A >= Cell::template FIRST<LAST>, "with several phases the gates are what is saved");

template <int N> constexpr int ROOM = N ? N : 1;  // C++ has no arrays of length 0

template <int K> struct Phase {
    static constexpr int value = K;
};

// Calls run(Phase<K>{}), K = phase: in there it is a constant.
template <int K = 0, class F>
RNN_FN void in_phase(int phase, F run) {
    if constexpr (K == LAST) run(Phase<K>{});
    else if (phase == K) run(Phase<K>{});
    else in_phase<K + 1>(phase, run);
}

RNN_FN bool is_live(const unsigned char* live, size_t b, int step, int T, int rev) {
    return !live || live[b * T + (rev ? T - 1 - step : step)];
}
