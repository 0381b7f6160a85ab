// What the blocks of a row group of sequence.cu share: who owns what, and how they wait for each other.
//
// The planner's macros: UNITS = H; a block owns OWN units of ROWS batch rows with THREADS threads; PER_GATE:
// each gate has an operand of its own (dropout); CHUNK and HELD: see product.h; PATIENCE: clock
// cycles that a block waits before it gives up.

constexpr int H = UNITS;
constexpr int PADDED = rounded_up(H, LOADED);  // units in a line of the exchange, the last ones 0
constexpr int BLOCKS = (H + OWN - 1) / OWN;  // of a row group
constexpr int PAIRS = (ROWS * OWN + THREADS - 1) / THREADS;  // of a row and a unit that a thread owns
#define SLICE int(blockIdx.y)  // of the units; the grid is (1, BLOCKS, row groups)
#define GROUP int(blockIdx.z)  // of the rows

// ---- the products of all phases

// A phase's product has one part that takes all its gates joined, or (PER_GATE) a part for each gate.
template <int K> constexpr int PARTS = PER_GATE ? Cell::template COUNT<K> : 1;
template <int K> constexpr int JOINED = PER_GATE ? 1 : Cell::template COUNT<K>;
template <int K> using ForwardProduct = Product<PARTS<K>, PADDED, JOINED<K> * OWN>;
template <int K> using BackwardProduct = Product<PARTS<K>, JOINED<K> * PADDED, OWN>;

// Of<K>, Of<K + 1>, ..., Of<LAST>. Each has weights of its own; tile and sums serve one after the other.
template <template <int> class Of, int K = 0>
struct Products {
    using Rest = Products<Of, K + 1>;
    static constexpr int WEIGHTS = Of<K>::WEIGHTS + Rest::WEIGHTS;
    static constexpr int TILE = most(Of<K>::TILE, Rest::TILE);
    static constexpr int LINE = most(Of<K>::PARTS * Of<K>::K, Rest::LINE);  // of the operand of a batch row

    Of<K> product;
    Rest rest;

    template <int PHASE>
    RNN_FN auto& of() {
        if constexpr (PHASE == K) return product;
        else return rest.template of<PHASE>();
    }
};
template <template <int> class Of>
struct Products<Of, LAST + 1> {
    static constexpr int WEIGHTS = 0, TILE = 0, LINE = 0;
};

// Calls run(Phase<K>{}) for each phase, first to last.
template <int K = 0, class F>
RNN_FN void each_phase(F& run) {
    run(Phase<K>{});
    if constexpr (K < LAST) each_phase<K + 1>(run);
}

// The same, last to first.
template <int K = LAST, class F>
RNN_FN void each_phase_back(F& run) {
    run(Phase<K>{});
    if constexpr (K > 0) each_phase_back<K - 1>(run);
}

// ---- who waits, who owns

RNN_FN REAL not_a_number() { return __int_as_float(0x7fffffff); }

// The barrier of a row group has two halves. What a block needs next and nobody else writes is fetched
// between them: a release waits for all loads before it, so before arrive() they would hold everybody up.
RNN_FN void arrive(unsigned* arrived) {
    __syncthreads();  // what any thread of this block has published is covered by the release of the first
    if (BLOCKS > 1 && threadIdx.x == 0) add_release(arrived, 1u);
}

// Waits until all blocks of the row group have arrived `round` times; false if that takes for ever.
RNN_FN bool all_arrived(const unsigned* arrived, unsigned round, volatile int* failed) {
    bool late = false;
    if (BLOCKS > 1 && threadIdx.x == 0) {
        long long began = clock64();
#pragma unroll 1
        while (!late && load_relaxed(arrived) < round * BLOCKS) late = clock64() - began > PATIENCE;
        fence_acquire();
        if (late) *failed = 1;
    }
    return BLOCKS == 1 || !__syncthreads_or(late);
}

// The dropout scales of a pair, which are the same at every step: one, or (PER_GATE) one for each gate.
RNN_FN void load_factors(REAL* factor, const REAL* scale, int scales, int B, int b, int j) {
    for (int g = 0; g < (PER_GATE ? G : 1); g++) factor[g] = scales ? scale[(size_t(g) * B + b) * H + j] : 1;
}

// For each pair that this thread owns: function(pair, row, unit, b, j); row and unit count within the block.
template <class F>
RNN_FN void each_pair(int B, F function) {
#pragma unroll
    for (int pair = 0; pair < PAIRS; pair++) {
        int e = pair * THREADS + threadIdx.x, row = e / OWN, unit = e % OWN;
        int b = GROUP * ROWS + row, j = SLICE * OWN + unit;
        if (row < ROWS && b < B && j < H) function(pair, row, unit, b, j);
    }
}
