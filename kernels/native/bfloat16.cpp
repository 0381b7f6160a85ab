// The instructions are written as assembler, so that the file needs no other compiler options than its
// neighbours: they are in the build for AVX-512 and run where best_precision finds them.
#include "bfloat16.h"

#include <cstdlib>

#if defined(__AVX512F__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

constexpr int L = LANES<float>;

Precision best_precision() {
    static const Precision found = [] {
        unsigned a, b, c, d;
        if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a >> 5 & 1)) return AS_THEY_ARE;
        __cpuid_count(7, 0, a, b, c, d);
        const bool tiles = d >> 22 & d >> 24 & 1;  // AMX-BF16, AMX-TILE
        constexpr int REQUEST = 0x1023, TILE_DATA = 18;  // the system gives their memory to whom asks for it
        return tiles && !syscall(SYS_arch_prctl, REQUEST, TILE_DATA) ? BY_TILES : BY_VECTORS;
    }();
    return found;
}

static RNN_FN __m512i two_rows(Vec<float> low, Vec<float> high) {  // 16 rounded values, then 16 more
    __m512i pairs;
    asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(pairs) : "v"(low), "v"(high));
    return pairs;
}

void round_row(float* to, const float* from, int n) {
    const int count = words(n);
    for (int i = 0; i < count; i += L) {
        const int at = 2 * i;
        _mm512_storeu_si512(to + i, two_rows(load(from + at, n - at), load(from + at + L, n - at - L)));
    }
}

void round_rows(float* to, const float* a, const float* b, int n) {
    const __m512i lanes = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int i = 0; i < n; i += L) {
        const auto row = [&](const float* from) { return from ? load(from + i, n - i) : Vec<float>{}; };
        _mm512_storeu_si512(to + i, _mm512_permutexvar_epi16(lanes, two_rows(row(a), row(b))));
    }
}

// In four rounds words, twos, fours and eights of them change places with those of a row beside. All lanes
// are asked for by masks: without these GCC warns of its own header.
void transpose_words(float* to, ptrdiff_t to_row, const float* from, ptrdiff_t from_row, int rows) {
    constexpr auto low = [](__m512i a, __m512i b) { return _mm512_maskz_unpacklo_epi32(0xffff, a, b); };
    constexpr auto high = [](__m512i a, __m512i b) { return _mm512_maskz_unpackhi_epi32(0xffff, a, b); };
    constexpr auto low2 = [](__m512i a, __m512i b) { return _mm512_maskz_unpacklo_epi64(0xff, a, b); };
    constexpr auto high2 = [](__m512i a, __m512i b) { return _mm512_maskz_unpackhi_epi64(0xff, a, b); };
    constexpr auto even = [](__m512i a, __m512i b) { return _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0x88); };
    constexpr auto odd = [](__m512i a, __m512i b) { return _mm512_maskz_shuffle_i32x4(0xffff, a, b, 0xdd); };
    __m512i a[STEP], b[STEP];
    for (int i = 0; i < STEP; i++) a[i] = _mm512_loadu_si512(from + i * from_row);
    for (int i = 0; i < STEP; i += 2) b[i] = low(a[i], a[i + 1]), b[i + 1] = high(a[i], a[i + 1]);
    for (int i = 0; i < STEP; i += 4) {
        a[i] = low2(b[i], b[i + 2]), a[i + 1] = high2(b[i], b[i + 2]);
        a[i + 2] = low2(b[i + 1], b[i + 3]), a[i + 3] = high2(b[i + 1], b[i + 3]);
    }
    for (int i = 0; i < STEP; i += 8)
        for (int j = i; j < i + 4; j++) b[j] = even(a[j], a[j + 4]), b[j + 4] = odd(a[j], a[j + 4]);
    for (int j = 0; j < 8; j++) a[j] = even(b[j], b[j + 8]), a[j + 8] = odd(b[j], b[j + 8]);
    for (int i = 0; i < rows; i++) _mm512_storeu_si512(to + i * to_row, a[i]);
}

// What adds the products of two words, in each lane.
struct Dot {
    static RNN_FN void add(Vec<float>& sum, float a, Vec<float> b) {
        const Vec<float> everywhere = _mm512_set1_ps(a);
        asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(everywhere));
    }
};

template <int N = ROWS * COLS>
static void by_vectors(int rows, int cols, const Part<float>* parts, int count, const float* b,
                       ptrdiff_t b_stride, Rows<const float> init, Rows<float> out) {
    constexpr int R = (N - 1) / COLS + 1, C = (N - 1) % COLS + 1;
    if (rows == R && cols == C)
        return tile<float, R, C, false, Dot>(parts, count, b, b_stride, init, out, nullptr);
    if constexpr (N > 1) by_vectors<N - 1>(rows, cols, parts, count, b, b_stride, init, out);
}

// The tile registers 0 .. 7, of 16 rows by 64 bytes.
template <int N> static RNN_FN void tile_load(const float* from, ptrdiff_t stride) {
    asm volatile("tileloadd (%0, %1), %%tmm%c2" : : "r"(from), "r"(stride * 4), "i"(N) : "memory");
}
template <int N> static RNN_FN void tile_store(float* to, ptrdiff_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0, %1)" : : "r"(to), "r"(stride * 4), "i"(N) : "memory");
}
template <int SUM, int A, int B> static RNN_FN void tile_dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(SUM), "i"(A), "i"(B));
}

// The sums of up to 16 rows are in 0 .. 3, and A in 4; or those of the first 16 rows are in 0 and 2, of the
// others in 1 and 3, and A in 4 and 5.
static thread_local int configured = 0;  // for so many rows

static void configure(int rows) {
    if (configured == rows) return;
    struct alignas(64) {
        uint8_t palette = 1, start = 0, unused[14] = {};
        uint16_t bytes[16] = {};
        uint8_t rows[16] = {};
    } all;
    const int first = rows < STEP ? rows : STEP, second = rows > STEP ? rows - STEP : first;
    const int heights[8] = {first, second, first, second, first, second, STEP, STEP};
    for (int i = 0; i < 8; i++) all.bytes[i] = 64, all.rows[i] = uint8_t(heights[i]);
    asm volatile("ldtilecfg %0" : : "m"(all) : "memory");
    configured = rows;
}

void leave_tiles() {
    if (configured) asm volatile("tilerelease");
    configured = 0;
}

template <int C>
static void up_to_16_rows(const Part<float>* parts, int count, const float* b, ptrdiff_t b_stride,
                          Rows<const float> init, Rows<float> out) {
    each<C>([&](auto c) RNN_INLINE { tile_load<c>(init.first + c * L, init.stride); });
    for (const Part<float>* part = parts; part < parts + count; part++)
        for (int k = 0; k < part->k; k += STEP, b += STEP * L) {
            tile_load<4>(part->a + k, part->stride);
            each<C>([&](auto c) RNN_INLINE {
                tile_load<6 + c % 2>(b + c * b_stride, L), tile_dot<c, 4, 6 + c % 2>();
            });
        }
    each<C>([&](auto c) RNN_INLINE { tile_store<c>(out.first + c * L, out.stride); });
}

template <int C>
static void up_to_32_rows(const Part<float>* parts, int count, const float* b, ptrdiff_t b_stride,
                          Rows<const float> init, Rows<float> out) {
    const float* init_2 = init.first + STEP * init.stride;
    float* out_2 = out.first + STEP * out.stride;
    each<C>([&](auto c) RNN_INLINE {
        tile_load<2 * c>(init.first + c * L, init.stride), tile_load<2 * c + 1>(init_2 + c * L, init.stride);
    });
    for (const Part<float>* part = parts; part < parts + count; part++)
        for (int k = 0; k < part->k; k += STEP, b += STEP * L) {
            tile_load<4>(part->a + k, part->stride);
            tile_load<5>(part->a + STEP * part->stride + k, part->stride);
            each<C>([&](auto c) RNN_INLINE {
                tile_load<6 + c>(b + c * b_stride, L);
                tile_dot<2 * c, 4, 6 + c>(), tile_dot<2 * c + 1, 5, 6 + c>();
            });
        }
    each<C>([&](auto c) RNN_INLINE {
        tile_store<2 * c>(out.first + c * L, out.stride), tile_store<2 * c + 1>(out_2 + c * L, out.stride);
    });
}

static void by_tiles(int rows, int cols, const Part<float>* parts, int count, const float* b,
                     ptrdiff_t b_stride, Rows<const float> init, Rows<float> out) {
    configure(rows);
    const bool tall = rows > STEP;
    for (int most = tall ? 2 : 4, now; cols; cols -= now) {
        now = cols < most ? cols : most;
        constexpr decltype(&up_to_16_rows<1>) flat_of[] = {up_to_16_rows<1>, up_to_16_rows<2>,
                                                           up_to_16_rows<3>, up_to_16_rows<4>};
        (tall ? now == 1 ? up_to_32_rows<1> : up_to_32_rows<2> : flat_of[now - 1])(parts, count, b, b_stride,
                                                                                  init, out);
        b += now * b_stride, init.first += now * L, out.first += now * L;
    }
}

AnyTile<float> words_tile(Precision precision) {
    return precision == BY_TILES ? by_tiles : precision == BY_VECTORS ? by_vectors<> : nullptr;
}
#else  // no build but that one is ever asked
Precision best_precision() { return AS_THEY_ARE; }
void round_row(float*, const float*, int) { std::abort(); }
void round_rows(float*, const float*, const float*, int) { std::abort(); }
void transpose_words(float*, ptrdiff_t, const float*, ptrdiff_t, int) { std::abort(); }
AnyTile<float> words_tile(Precision) { return nullptr; }
void leave_tiles() {}
#endif

void pack_words(float* packed, const float* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N,
                int block) {
    constexpr int SLICE = 64, WIDTH = LANES<float>;
    float rows[SLICE * WIDTH];
    int word = 0;
    for (int k = 0; k < K; k += SLICE) {
        const int count = K - k < SLICE ? K - k : SLICE;
        pack_block(rows, w + k * k_stride, k_stride, n_stride, count, N, block);
        for (int i = 0; i < count; i += 2, word++) {
            const float *first = rows + i * WIDTH, *second = i + 1 < count ? first + WIDTH : nullptr;
            round_rows(packed + word * WIDTH, first, second, WIDTH);
        }
    }
    std::memset(packed + word * WIDTH, 0, size_t(words(K) - word) * WIDTH * sizeof(float));
}
