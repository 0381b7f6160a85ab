// What the blocks of a row group of sequence.cu share: who owns what, and how they wait for each other.
//
// The planner's macros: UNITS = H; a block owns OWN units of ROWS batch rows with THREADS threads; PER_GATE: each gate has an
// operand of its own (dropout); CHUNK and HELD: see product.h; SPINS: looks at the counter before a block gives up.

using Cell = CELL;
constexpr int H = UNITS, G = Cell::GATES, S = Cell::STATES, A = Cell::SAVED, E = Cell::EXTRAS, LAST = Cell::PHASES - 1;
constexpr int W = A > G ? A : G;
constexpr int PADDED = rounded_up(H, 4);               // units of a row of mail, the last ones 0
constexpr int BLOCKS = (H + OWN - 1) / OWN;            // of a row group
constexpr int PAIRS = (ROWS * OWN + THREADS - 1) / THREADS;  // of a row and a unit that a thread owns
#define SLICE int(blockIdx.y)  // of the units; the grid is (1, BLOCKS, row groups)
#define GROUP int(blockIdx.z)  // of the rows
template <int K> struct Phase { static constexpr int value = K; };
template <int N> constexpr int ROOM = N ? N : 1;  // C++ has no arrays of length 0

template <int K> constexpr int PARTS = PER_GATE ? Cell::template COUNT<K> : 1;
template <int K> constexpr int JOINED = PER_GATE ? 1 : Cell::template COUNT<K>;  // gates that one part of a product takes together
template <int K> using ForwardProduct = Product<PARTS<K>, PADDED, JOINED<K> * OWN>;
template <int K> using BackwardProduct = Product<PARTS<K>, JOINED<K> * PADDED, OWN>;

RNN_FN REAL not_a_number() { return __int_as_float(0x7fffffff); }

RNN_FN bool is_live(const unsigned char* live, int b, int step, int T, int rev) {
    return !live || live[size_t(b) * T + (rev ? T - 1 - step : step)];
}

// Waits until all blocks of the row group have come here `round` times; false if that takes for ever.
RNN_FN bool meet(unsigned* arrived, unsigned round, volatile int* failed) {
    bool late = false;
    __syncthreads();  // what any thread of this block has posted is covered by the release of the first
    if (BLOCKS > 1 && threadIdx.x == 0) {
        add_release(arrived, 1u);
        int spins = 0;
#pragma unroll 1
        while (!late && load_acquire(arrived) < round * BLOCKS) late = ++spins == SPINS;
        if (late) *failed = 1;
    }
    return BLOCKS == 1 || !__syncthreads_or(late);
}

// For each pair that this thread owns: function(pair, row, unit, b, j); row and unit count within the block.
template <class F>
RNN_FN void own(int B, F function) {
#pragma unroll
    for (int pair = 0; pair < PAIRS; pair++) {
        int e = pair * THREADS + threadIdx.x, row = e / OWN, unit = e % OWN, b = GROUP * ROWS + row, j = SLICE * OWN + unit;
        if (row < ROWS && b < B && j < H) function(pair, row, unit, b, j);
    }
}

