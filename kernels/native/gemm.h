// The one matrix product: a tile of R x C vectors of sums stays in registers while k runs.
//
//     out[r, :] = init[r, :] + sum over the parts, and over k in each part, of A[r, k] * B[k, :]
//
// B is packed: one array [K][LANES] for each of the C blocks of LANES columns, with the k of all parts in a row. Every sum
// runs over k in one fixed order, whatever R and C are: so a result does not depend on how rows and columns were dealt out.
// Within a part, runs of RUN terms are summed on their own and then put together: one long float32 sum would be less exact.
#pragma once
#include "simd.h"

constexpr int RUN = 128;

template <class T> struct Part {
    const T* a;  // A[r, k] = a[r * stride + k], and `leap` more after every `piece` values of k
    ptrdiff_t stride;
    int k, piece = RUN;  // a divisor of RUN
    ptrdiff_t leap = 0;
};

// How a tile's rows lie in memory: row r at first + r * stride.
template <class T> struct Rows {
    T* first;
    ptrdiff_t stride;
};

// f(r, c) for every vector of a tile.
template <int R, int C, class F> RNN_FN void each_vector(F f) {
    each<R>([&](int r) RNN_INLINE { each<C>([&](int c) RNN_INLINE { f(r, c); }); });
}

template <class T, int R, int C>
void tile(const Part<T>* parts, int count, const T* b, ptrdiff_t b_stride, Rows<const T> init, Rows<T> out) {
    constexpr int L = LANES<T>;
    Vec<T> sums[R][C], w[C];
    each_vector<R, C>([&](int r, int c) RNN_INLINE { sums[r][c] = load(init.first + r * init.stride + c * L); });
    for (const Part<T>* part = parts; part < parts + count; part++) {
        const T* a = part->a;
        for (int k = 0; k < part->k;) {
            const int end = part->k - k > RUN ? k + RUN : part->k;
            for (; k < end; a += part->leap)
                for (const int stop = end - k > part->piece ? k + part->piece : end; k < stop; k++, a++, b += L) {
                    each<C>([&](int c) RNN_INLINE { w[c] = load(b + c * b_stride); });
                    each_vector<R, C>([&](int r, int c) RNN_INLINE { sums[r][c] += a[r * part->stride] * w[c]; });
                }
            if (part->k <= RUN) break;
            each_vector<R, C>([&](int r, int c) RNN_INLINE {
                T* total = out.first + r * out.stride + c * L;
                if (end > RUN) sums[r][c] += load(total);
                if (end < part->k) store(total, sums[r][c]), sums[r][c] = Vec<T>{};
            });
        }
    }
    each_vector<R, C>([&](int r, int c) RNN_INLINE { store(out.first + r * out.stride + c * L, sums[r][c]); });
}

// out[r, :] += sum over k of A[k, r] * B[k, :], for a packed A [K][ROWS], rows of B in a panel, and an out of R x C vectors. The
// sum is made by itself and then added: one block of a long sum.
template <class T, int R, int C>
void block_sum(const T* a, const T* b, int K, T* out) {
    constexpr int L = LANES<T>;
    Vec<T> sums[R][C] = {}, w[C];
    for (int k = 0; k < K; k++, a += ROWS, b += PANEL) {
        each<C>([&](int c) RNN_INLINE { w[c] = load(b + c * L); __builtin_prefetch(b + c * L + 6 * PANEL); });
        each_vector<R, C>([&](int r, int c) RNN_INLINE { sums[r][c] += a[r] * w[c]; });
    }
    each_vector<R, C>([&](int r, int c) RNN_INLINE {
        T* to = out + (r * C + c) * L;
        store(to, load(to) + sums[r][c]);
    });
}

// The functions for tiles that fit: tile_of[rows - 1][cols - 1], block_sum_of likewise for up to TALL_COLS columns.
template <class T> struct Tiles {
    decltype(&tile<T, 1, 1>) tile_of[ROWS][COLS] = {};
    decltype(&block_sum<T, 1, 1>) block_sum_of[ROWS][COLS] = {};

    Tiles() { fill<ROWS * COLS>(); }

  private:
    template <int N> void fill() {
        constexpr int r = (N - 1) / COLS, c = (N - 1) % COLS;
        if constexpr (r < FLAT || c < TALL_COLS) tile_of[r][c] = tile<T, r + 1, c + 1>;
        if constexpr (c < TALL_COLS) block_sum_of[r][c] = block_sum<T, r + 1, c + 1>;
        if constexpr (N > 1) fill<N - 1>();
    }
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

// How many rows the next tile takes when `left` are left: tiles of nearly equal height, none above ROWS.
inline int tile_rows(int left) { return ceil_div(left, ceil_div(left, ROWS)); }

// W[k, n] = w[k * k_stride + n * n_stride], K x N, into block `block` of B: packed[k][lane], 0 beyond N.
template <class T>
void pack_block(T* packed, const T* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N, int block) {
    constexpr int L = LANES<T>;
    const int lanes = N - block * L < L ? N - block * L : L;
    w += block * L * n_stride;
    if (n_stride == 1) {
        for (int k = 0; k < K; k++) store(packed + k * L, load(w + k * k_stride, lanes));
        return;
    }
    for (int lane = 0; lane < L; lane++)
        for (int k = 0; k < K; k++) packed[k * L + lane] = lane < lanes ? w[k * k_stride + lane * n_stride] : T(0);
}
