// The SIMD vector, as wide as the instruction set that this is compiled for, and the register tile that fits
// it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define RNN_FN inline __attribute__((always_inline))
#define RNN_INLINE __attribute__((always_inline))  // for a lambda
#if defined(__clang__)
#define RNN_UNROLL _Pragma("unroll 4")
#else
#define RNN_UNROLL _Pragma("GCC unroll 4")
#endif

// f(0), ..., f(N - 1), written out: an array that is indexed by such an argument can live in registers all
// along, while a loop over it, although unrolled, would move it to memory and back around the loops within.
template <class F, int... N> RNN_FN void each_of([[maybe_unused]] F f, std::integer_sequence<int, N...>) {
    (f(std::integral_constant<int, N>{}), ...);
}
template <int N, class F> RNN_FN void each(F f) { each_of(f, std::make_integer_sequence<int, N>{}); }

// A tile holds up to ROWS x COLS vectors of sums; a row of weights and one value of the left side must fit
// beside them. With few registers a tile of more than FLAT rows holds TALL_COLS columns at most.
constexpr int ROWS = 6, COLS = 4, FLAT = 2;
#if defined(__AVX512F__)
constexpr int BYTES = 64, TALL_COLS = 4;  // 32 registers
#elif defined(__AVX2__)
constexpr int BYTES = 32, TALL_COLS = 2;  // 16 registers
#elif defined(__aarch64__)
constexpr int BYTES = 16, TALL_COLS = 4;  // 32 registers
#else
constexpr int BYTES = 16, TALL_COLS = 2;  // 16 registers
#endif

template <class Real> struct Simd;
template <> struct Simd<float> {
    typedef float V __attribute__((vector_size(BYTES)));
    typedef int32_t I __attribute__((vector_size(BYTES)));
};
template <> struct Simd<double> {
    typedef double V __attribute__((vector_size(BYTES)));
    typedef int64_t I __attribute__((vector_size(BYTES)));
};
template <class Real> using Vec = typename Simd<Real>::V;
template <class Real> constexpr int LANES = BYTES / sizeof(Real);
template <class Real> constexpr int LINE = 64 / sizeof(Real);  // values in a cache line
// values in a row of a panel of gate gradients
template <class Real> constexpr int PANEL = TALL_COLS * LANES<Real>;

template <class Real> RNN_FN Vec<Real> splat(Real a) {
    return a - Vec<Real>{};  // a + 0 would cost an addition: it turns -0 into 0
}

template <class Real> RNN_FN Vec<Real> load(const Real* p) {
    Vec<Real> v;
    std::memcpy(&v, p, BYTES);
    return v;
}

template <class Real> RNN_FN void store(Real* p, Vec<Real> v) {
    std::memcpy(p, &v, BYTES);
}

// Ask for n values from p on before they are needed; the processor does not see rows that lie far apart
// coming. WRITE: to write.
template <bool WRITE = false, class Real> RNN_FN void prefetch(const Real* p, int n) {
    asm volatile("");  // GCC would take this for a function that does nothing
    for (int i = 0; i < n; i += LINE<Real>) __builtin_prefetch(p + i, WRITE, 2);
    __builtin_prefetch(p + n - 1, WRITE, 2);
}

// The same for N values from the beginning of a cache line on, into the cache of level 4 - NEAR.
template <int N, int NEAR = 3, bool WRITE = false, class Real> RNN_FN void prefetch_lines(const Real* p) {
    for (int i = 0; i < N; i += LINE<Real>) __builtin_prefetch(p + i, WRITE, NEAR);
}

// n < 2 LANES values, by halves of what is left: memcpy would take longer to find out how.
template <class Real> inline void copy_few(Real* to, const Real* from, int n) {
    for (int width = LANES<Real>; width; width /= 2)
        if (n & width) {
            std::memcpy(to, from, width * sizeof(Real));
            to += width, from += width;
        }
}

// The first n lanes, at most all of them: nothing beyond is touched, and the other lanes of a loaded vector
// are 0.
#if defined(__AVX512F__)
template <class Real> RNN_FN unsigned first_lanes(int n) {
    return n <= 0 ? 0 : n >= LANES<Real> ? (1u << LANES<Real>) - 1 : (1u << n) - 1;
}
RNN_FN Vec<float> load(const float* p, int n) {
    return _mm512_maskz_loadu_ps(__mmask16(first_lanes<float>(n)), p);
}
RNN_FN Vec<double> load(const double* p, int n) {
    return _mm512_maskz_loadu_pd(__mmask8(first_lanes<double>(n)), p);
}
RNN_FN void store(float* p, Vec<float> v, int n) {
    _mm512_mask_storeu_ps(p, __mmask16(first_lanes<float>(n)), v);
}
RNN_FN void store(double* p, Vec<double> v, int n) {
    _mm512_mask_storeu_pd(p, __mmask8(first_lanes<double>(n)), v);
}
#else
template <class Real> inline Vec<Real> load(const Real* p, int n) {
    if (n >= LANES<Real>) return load(p);
    Real lanes[LANES<Real>] = {};
    if (n > 0) copy_few(lanes, p, n);
    return load(lanes);
}
template <class Real> inline void store(Real* p, Vec<Real> v, int n) {
    if (n >= LANES<Real>) return store(p, v);
    Real lanes[LANES<Real>];
    store(lanes, v);
    if (n > 0) copy_few(p, lanes, n);
}
#endif

// to = from * scale, n values.
template <class Real> inline void scaled(Real* to, const Real* from, const Real* scale, int n) {
    for (int i = 0; i < n; i += LANES<Real>)
        store(to + i, load(from + i, n - i) * load(scale + i, n - i), n - i);
}

// to += from * scale, n values; `to` and `from` go on to the end of the last vector.
template <class Real> inline void add_scaled(Real* to, const Real* from, const Real* scale, int n) {
    for (int i = 0; i < n; i += LANES<Real>)
        store(to + i, load(to + i) + load(from + i) * load(scale + i, n - i));
}
