// The product that a block of sequence.cu makes at every step: for each part, [ROWS,K] operand times
// [K,COLUMNS] weights.
//
// The weights stay on chip for the whole sequence: in shared memory, or (HELD) spread over the registers of
// the threads. The operand comes from memory, a chunk of k at a time, into a tile in shared memory: a thread
// asks for its part of the next tile before it adds up this one, all of it at once, and waits only then. It
// adds up RM rows x 4 columns over every SPLIT-th group of four k; its 128-bit loads bring four k of a row,
// or four columns of a weight row. The SPLIT partial sums lie in `sums`, and whoever needs one adds them up
// in one order.
//
//     ACROSS threads side by side      four columns each
//     DOWN threads below each other    RM rows each, GROUPS apart
//     SPLIT layers of them             k = 4 * layer, 4 * (layer + SPLIT), ...

constexpr int least(int a, int b) { return a < b ? a : b; }
constexpr int most(int a, int b) { return a > b ? a : b; }
constexpr int rounded_up(int a, int b) { return (a + b - 1) / b * b; }

typedef REAL OPERAND;  // what is published for the product
RNN_FN void put_operand(OPERAND* place, REAL x) { *place = x; }
constexpr int LOADED = 4;  // numbers that one load brings, or two in float64

struct __align__(16) Four {
    REAL v[4];
};
RNN_FN Four& four(REAL* p) { return *reinterpret_cast<Four*>(p); }
RNN_FN const Four& four(const REAL* p) { return *reinterpret_cast<const Four*>(p); }

// From the second level cache: other multiprocessors write this memory while the kernel runs.
RNN_FN Four fetch(const float* p) {
    float4 a = __ldcg(reinterpret_cast<const float4*>(p));
    return {{REAL(a.x), REAL(a.y), REAL(a.z), REAL(a.w)}};
}
RNN_FN Four fetch(const double* p) {
    double2 a = __ldcg(reinterpret_cast<const double2*>(p));
    double2 b = __ldcg(reinterpret_cast<const double2*>(p + 2));
    return {{REAL(a.x), REAL(a.y), REAL(b.x), REAL(b.y)}};
}

template <int PARTS_, int K_, int COLUMNS_>
struct Product {
    static constexpr int PARTS = PARTS_, K = K_, COLUMNS = COLUMNS_, WIDTH = rounded_up(COLUMNS, 4);

    // Who adds what. A thread has PASSES groups of rows, one after the other.
    static constexpr int RM = ROWS % 4 == 0 ? 4 : ROWS % 2 == 0 ? 2 : 1, GROUPS = ROWS / RM;
    static constexpr int ACROSS = WIDTH / 4, DOWN = HELD ? 1 : least(GROUPS, THREADS / ACROSS);
    static constexpr int SPLIT = least(least(THREADS / (ACROSS * DOWN), K / 4), HELD ? 64 : 32);
    static constexpr int PASSES = (GROUPS + DOWN - 1) / DOWN;

    // The chunks of k; a thread has TURNS groups of four k in each.
    static constexpr int KC = least(CHUNK, K), PITCH = KC + 4, CHUNKS = (K + KC - 1) / KC;
    static constexpr int TURNS = (KC / 4 + SPLIT - 1) / SPLIT;

    // The tiles of a run: a chunk is brought once for all passes if it is the only one. A thread brings LOADS
    // groups of four, AT_ONCE of them on their way together, so that they take the time of one.
    static constexpr int OF_PART = CHUNKS > 1 ? PASSES * CHUNKS : 1, TILES = PARTS * OF_PART;
    static constexpr int LOADS = (ROWS * (KC / 4) + THREADS - 1) / THREADS;
    static constexpr int AT_ONCE = least(LOADS, 32 / sizeof(REAL));

    // Elements of shared memory. Lines are so long, and weights lie so, that at most two lanes of a warp want
    // different words of one bank: hence SUM_LINE, and what layers next to each other read lies side by side.
    static constexpr int SUM_LINE = WIDTH + 4 * (WIDTH % 8 == 0) + 8 * (WIDTH % 32 == 0);
    static constexpr int WEIGHTS = HELD ? 0 : PARTS * K * WIDTH;
    static constexpr int TILE = ROWS * PITCH;
    static constexpr int SUMS = PARTS * SPLIT * ROWS * SUM_LINE;

    static_assert(K % 4 == 0 && CHUNK % 4 == 0, "the planner made this");
    static_assert(ACROSS <= THREADS && (!HELD || CHUNKS == 1), "the planner made this");

    const REAL* weights;  // [PARTS,4,K/4,WIDTH] in shared memory
    Four held[HELD ? PARTS * TURNS * 4 : 1];
    int across, down, layer;

    // weight(part, k, column); room: WEIGHTS elements of shared memory. Before the first run comes a barrier.
    template <class F>
    RNN_FN void load(REAL* room, F weight) {
        int thread = threadIdx.x;
        across = thread % ACROSS, down = thread / ACROSS % DOWN, layer = thread / (ACROSS * DOWN);
        weights = room;
        auto padded = [&](int part, int k, int column) {
            return column < COLUMNS ? weight(part, k, column) : 0;
        };
        if constexpr (HELD) {
#pragma unroll
            for (int i = 0; i < PARTS * TURNS * 4; i++)
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    int k = 4 * (i / 4 % TURNS * SPLIT + layer) + i % 4;
                    held[i].v[c] = layer < SPLIT && k < K ? padded(i / 4 / TURNS, k, 4 * across + c) : 0;
                }
        } else {
            for (int e = thread; e < WEIGHTS; e += THREADS) {
                int part = e / WIDTH / K, k = e / WIDTH % K, column = e % WIDTH;
                room[weight_at(part, k, column)] = padded(part, k, column);
            }
        }
    }

    // operand: a line for each of B rows, which holds [PARTS,K]; rows begin .. begin+ROWS-1 are ours. tile
    // and sums are in shared memory.
    RNN_FN void run(const REAL* operand, int line, REAL* tile, REAL* sums, int begin, int B) const {
        Four next[AT_ONCE];
        int number = 0;  // of the tile
        ask(next, operand, line, number, 0, begin, B);
#pragma unroll
        for (int part = 0; part < PARTS; part++)
#pragma unroll(HELD ? 1 : PASSES)
            for (int pass = 0; pass < PASSES; pass++) {
                int group = pass * DOWN + down;
                bool busy = layer < SPLIT && group < GROUPS;
                REAL sum[RM][4] = {};
                for (int chunk = 0; chunk < CHUNKS; chunk++) {
                    if (CHUNKS > 1 || pass == 0) {
                        if (number > 0) __syncthreads();  // all have read the last tile
                        put(next, tile, 0);
                        for (int from = AT_ONCE; from < LOADS; from += AT_ONCE) {
                            ask(next, operand, line, number, from, begin, B);
                            put(next, tile, from);
                        }
                        __syncthreads();
                        number++;
                        if (number < TILES) ask(next, operand, line, number, 0, begin, B);
                    }
                    if (busy) add(part, chunk, group, tile, sum);
                }
                if (busy)
#pragma unroll
                    for (int m = 0; m < RM; m++) {
                        int row = group + m * GROUPS;
                        Four& place = four(&sums[sum_at(part, layer, row, 4 * across)]);
                        place = {{sum[m][0], sum[m][1], sum[m][2], sum[m][3]}};
                    }
            }
        __syncthreads();
    }

    // What this thread brings of a tile, from its load number `from` on: on its way after ask, there after
    // put.
    RNN_FN void ask(Four (&next)[AT_ONCE], const REAL* operand, int line, int number, int from, int begin,
                    int B) const {
        int part = number / OF_PART, start = number % CHUNKS * KC;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int e = (from + i) * THREADS + threadIdx.x, row = e / (KC / 4), k = start + 4 * (e % (KC / 4));
            bool inside = row < ROWS && begin + row < B && k < K;
            next[i] = inside ? fetch(&operand[size_t(begin + row) * line + part * K + k]) : Four{};
        }
    }

    RNN_FN void put(const Four (&next)[AT_ONCE], REAL* tile, int from) const {
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int e = (from + i) * THREADS + threadIdx.x, row = e / (KC / 4);
            if (row < ROWS) four(&tile[row * PITCH + 4 * (e % (KC / 4))]) = next[i];
        }
    }

    RNN_FN void add(int part, int chunk, int group, const REAL* tile, REAL (&sum)[RM][4]) const {
#pragma unroll(HELD ? TURNS : 2)
        for (int turn = 0; turn < TURNS; turn++) {
            int k = 4 * (turn * SPLIT + layer), at = chunk * KC + k;
            if (k >= KC || at >= K) break;
            Four h[RM];
#pragma unroll
            for (int m = 0; m < RM; m++) h[m] = four(&tile[(group + m * GROUPS) * PITCH + k]);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                Four w = HELD ? held[HELD ? (part * TURNS + turn) * 4 + i : 0]
                              : four(&weights[weight_at(part, at + i, 4 * across)]);
#pragma unroll
                for (int m = 0; m < RM; m++)
#pragma unroll
                    for (int c = 0; c < 4; c++) sum[m][c] += h[m].v[i] * w.v[c];
            }
        }
    }

    static RNN_FN REAL total(const REAL* sums, int part, int row, int column) {
        REAL sum = 0;
#pragma unroll 4
        for (int layer = 0; layer < SPLIT; layer++)
            sum += sums[sum_at(part, layer, row, column)];
        return sum;
    }

    static RNN_FN int weight_at(int part, int k, int column) {
        return ((part * 4 + k % 4) * (K / 4) + k / 4) * WIDTH + column;
    }

    static RNN_FN int sum_at(int part, int layer, int row, int column) {
        return ((part * SPLIT + layer) * ROWS + row) * SUM_LINE + column;
    }
};
