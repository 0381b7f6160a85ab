// product.h for tensor cores: the same product of sequence.cu, for each part [ROWS,K] operand times
// [K,COLUMNS] weights, by the instructions of mma.h.
//
// A warp multiplies fragments: 16 columns of the weights x DEPTH k, times DEPTH k x 8 rows of the operand.
// The fragments of the weights are made once, before the first step, and stay on chip: in shared memory as
// each lane wants its words, or (HELD) in registers. The operand is published in the dtype of the storage and
// comes to the tile as it is. Which k a word holds is free, if both factors agree: lane t takes words 2 t and
// 2 t + 1, which one load brings. Sums are float32; of float32 storage, so are the factors: three products of
// TF32 make one.
//
//     ACROSS warps side by side       16 columns each, further ones in PASSES
//     SPLIT layers of them            fragments layer, layer + SPLIT, ... along k

typedef STORE OPERAND;  // what is published for the product
RNN_FN void put_operand(OPERAND* place, REAL x) { store(place, x); }

constexpr int least(int a, int b) { return a < b ? a : b; }
constexpr int most(int a, int b) { return a > b ? a : b; }
constexpr int rounded_up(int a, int b) { return (a + b - 1) / b * b; }

constexpr int LOADED = 16 / sizeof(OPERAND);  // numbers that one load brings
constexpr int PER = 4 / sizeof(OPERAND);      // numbers in a word of a fragment
constexpr int DEPTH = 8 * PER;                // k of a fragment
constexpr int LANES = 32;

struct __align__(16) Words {
    unsigned v[4];
};
struct __align__(8) Pair {
    unsigned v[2];
};

RNN_FN unsigned word_of(const OPERAND* numbers) {
#if STORAGE
    return numbers[0] | unsigned(numbers[1]) << 16;
#else
    return __float_as_int(numbers[0]);
#endif
}

// sum [16,8] += a b, of one fragment each.
RNN_FN void multiply(float* sum, const Words& a, const Pair& b) {
#if STORAGE == 2
    mma_m16n8k16_bf16(sum, a.v, b.v);
#elif STORAGE == 1 && defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    mma_m16n8k8_f16(sum, a.v, b.v);
    mma_m16n8k8_f16(sum, a.v + 2, b.v + 1);
#elif STORAGE == 1
    mma_m16n8k16_f16(sum, a.v, b.v);
#else
    // x = high + low, both TF32. What is left out, low times low, is below what float32 holds. The sum over
    // all fragments is made by float32 additions, which round; tensor cores cut off.
    Words a_high, a_low;
    Pair b_high, b_low;
    for (int i = 0; i < 4; i++) {
        a_high.v[i] = to_tf32(__int_as_float(a.v[i]));
        a_low.v[i] = to_tf32(__int_as_float(a.v[i]) - __int_as_float(a_high.v[i]));
    }
    for (int i = 0; i < 2; i++) {
        b_high.v[i] = to_tf32(__int_as_float(b.v[i]));
        b_low.v[i] = to_tf32(__int_as_float(b.v[i]) - __int_as_float(b_high.v[i]));
    }
    float small[4] = {};
    float large[4] = {};
    mma_m16n8k8_tf32(small, a_low.v, b_high.v);
    mma_m16n8k8_tf32(small, a_high.v, b_low.v);
    mma_m16n8k8_tf32(large, a_high.v, b_high.v);
    for (int i = 0; i < 4; i++) sum[i] += large[i] + small[i];
#endif
}

template <int PARTS_, int K_, int COLUMNS_>
struct Product {
    static constexpr int PARTS = PARTS_, K = K_, COLUMNS = COLUMNS_, WIDTH = rounded_up(COLUMNS, 16);

    // Fragments of the weights: TALL of 16 columns, DEEP along k. The operand has ROWS / 8 in a row.
    static constexpr int TALL = WIDTH / 16, DEEP = (K + DEPTH - 1) / DEPTH, WIDE = ROWS / 8;

    // The chunks of k, STEPS fragments each; who has which.
    static constexpr int KC = least(CHUNK, DEEP * DEPTH), STEPS = KC / DEPTH;
    static constexpr int CHUNKS = (DEEP + STEPS - 1) / STEPS;
    static constexpr int WARPS = THREADS / LANES, ACROSS = least(TALL, WARPS);
    static constexpr int SPLIT = least(WARPS / ACROSS, STEPS), PASSES = (TALL + ACROSS - 1) / ACROSS;
    static constexpr int TURNS = (STEPS + SPLIT - 1) / SPLIT;

    // A thread brings LOADS times 128 bits of a tile, AT_ONCE of them on their way together.
    static constexpr int LOADS = (ROWS * (KC / LOADED) + THREADS - 1) / THREADS, AT_ONCE = least(LOADS, 8);

    // Words of shared memory. Lines of the tile and of the sums are so long that at most two lanes of a warp
    // want different words of one bank.
    static constexpr int PITCH = rounded_up(KC / PER, 16) + 8;
    static constexpr int SUM_LINE = WIDTH + 4 + 16 * (WIDTH % 32 == 0);
    static constexpr int WEIGHTS = HELD ? 0 : PARTS * TALL * DEEP * 4 * LANES;
    static constexpr int TILE = ROWS * PITCH;
    static constexpr int SUMS = PARTS * SPLIT * ROWS * SUM_LINE;

    static_assert(sizeof(REAL) == 4, "tensor cores add in float32");
    static_assert(ROWS % 8 == 0 && K % LOADED == 0 && CHUNK % DEPTH == 0, "the planner made this");
    static_assert(THREADS % LANES == 0 && (!HELD || CHUNKS == 1), "the planner made this");

    const unsigned* weights;  // [PARTS,TALL,DEEP,LANES,4] in shared memory
    Words held[HELD ? PARTS * PASSES * TURNS : 1];
    int lane, across, layer;

    // weight(part, k, column); room: WEIGHTS words of shared memory. Before the first run comes a barrier.
    template <class F>
    RNN_FN void load(REAL* room, F weight) {
        int warp = threadIdx.x / LANES;
        lane = threadIdx.x % LANES, across = warp % ACROSS, layer = warp / ACROSS;
        unsigned* words = reinterpret_cast<unsigned*>(room);
        weights = words;
        // Word i of the lane `who` in a fragment.
        auto word = [&](int part, int tall, int deep, int who, int i) {
            OPERAND numbers[PER];
            int column = 16 * tall + who / 4 + 8 * (i % 2);
            for (int e = 0; e < PER; e++) {
                int k = deep * DEPTH + PER * (2 * (who % 4) + i / 2) + e;
                put_operand(&numbers[e], column < COLUMNS && k < K ? weight(part, k, column) : 0);
            }
            return word_of(numbers);
        };
        if constexpr (HELD) {
#pragma unroll
            for (int f = 0; f < PARTS * PASSES * TURNS; f++) {
                int tall = f / TURNS % PASSES * ACROSS + across, deep = f % TURNS * SPLIT + layer;
#pragma unroll
                for (int i = 0; i < 4; i++) held[f].v[i] = word(f / TURNS / PASSES, tall, deep, lane, i);
                if (f % 4 == 3) __syncwarp();  // or else all would be on their way at once, in more registers
            }
        } else {
            for (int e = threadIdx.x; e < WEIGHTS; e += THREADS) {
                int f = e / (4 * LANES);
                words[e] = word(f / DEEP / TALL, f / DEEP % TALL, f % DEEP, e / 4 % LANES, e % 4);
            }
        }
    }

    // operand: a line for each of B rows, which holds [PARTS,K]; rows begin .. begin+ROWS-1 are ours. tile
    // and sums are in shared memory.
    RNN_FN void run(const OPERAND* operand, int line, REAL* tile, REAL* sums, int begin, int B) const {
        unsigned* words = reinterpret_cast<unsigned*>(tile);
#pragma unroll
        for (int part = 0; part < PARTS; part++)
#pragma unroll(HELD ? PASSES : 1)
            for (int pass = 0; pass < PASSES; pass++) {
                int tall = pass * ACROSS + across;
                bool busy = layer < SPLIT && tall < TALL;  // the whole warp, or none of it
                float sum[WIDE][4] = {};
                for (int chunk = 0; chunk < CHUNKS; chunk++) {
                    if (CHUNKS > 1 || pass == 0) {
                        if (part + pass + chunk > 0) __syncthreads();  // all have read the last tile
                        load_tile(operand + part * K, line, words, chunk * KC, begin, B);
                        __syncthreads();
                    }
                    if (busy) add(part, pass, chunk * STEPS, words, sum);
                }
                if (busy)
#pragma unroll
                    for (int n = 0; n < WIDE; n++)
#pragma unroll
                        for (int i = 0; i < 4; i++) {
                            int row = 8 * n + 2 * (lane % 4) + i % 2;
                            int column = 16 * tall + lane / 4 + 8 * (i / 2);
                            sums[sum_at(part, layer, row, column)] = sum[n][i];
                        }
            }
        __syncthreads();
    }

    RNN_FN void load_tile(const OPERAND* operand, int line, unsigned* tile, int from, int begin,
                          int B) const {
        for (int load = 0; load < LOADS; load += AT_ONCE) {
            uint4 numbers[AT_ONCE];
            auto each = [&](auto use) {
#pragma unroll
                for (int i = 0; i < AT_ONCE; i++) {
                    int e = (load + i) * THREADS + threadIdx.x, row = e / (KC / LOADED);
                    if (row < ROWS) use(numbers[i], row, LOADED * (e % (KC / LOADED)));
                }
            };
            each([&](uint4& number, int row, int k) {
                bool inside = begin + row < B && from + k < K;
                const OPERAND* place = operand + size_t(begin + row) * line + from + k;
                // From the second level cache: other multiprocessors write this memory while the kernel runs.
                number = inside ? __ldcg(reinterpret_cast<const uint4*>(place)) : uint4{};
            });
            __syncwarp();  // the compiler may not store the first before it has asked for the last
            each([&](uint4& number, int row, int k) {
                *reinterpret_cast<uint4*>(&tile[row * PITCH + k / PER]) = number;
            });
        }
    }

    // The fragments of this warp from number `first` on, as far as the tile goes.
    RNN_FN void add(int part, int pass, int first, const unsigned* tile, float (&sum)[WIDE][4]) const {
#pragma unroll(HELD ? TURNS : 2)
        for (int turn = 0; turn < TURNS; turn++) {
            int step = turn * SPLIT + layer;
            if (step >= STEPS || first + step >= DEEP) break;
            int at = (part * TALL + pass * ACROSS + across) * DEEP + first + step;
            Words a = HELD ? held[HELD ? (part * PASSES + pass) * TURNS + turn : 0]
                           : *reinterpret_cast<const Words*>(&weights[(at * LANES + lane) * 4]);
#pragma unroll
            for (int n = 0; n < WIDE; n++) {
                int place = (8 * n + lane / 4) * PITCH + 8 * step + 2 * (lane % 4);
                Pair b = *reinterpret_cast<const Pair*>(&tile[place]);
                multiply(sum[n], a, b);
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

    static RNN_FN int sum_at(int part, int layer, int row, int column) {
        return ((part * SPLIT + layer) * ROWS + row) * SUM_LINE + column;
    }
};
