// The one matrix product: a tile of R x C vectors of sums stays in registers while k runs.
//
//     out[r, :] = init[r, :] + sum over the parts, and over k in each part, of A[r, k] * B[k, :]
//
// B is packed: one array [K][LANES] for each of the C blocks of LANES columns, with the k of all parts in a
// row. Every sum runs over k in one fixed order, whatever R and C are: so a result does not depend on how
// rows and columns were dealt out. Within a part, runs of RUN terms are summed on their own and then put
// together: one long float32 sum would be less exact.
#pragma once
#include "simd.h"

constexpr int RUN = 128;

template <class Real> struct Part {
    const Real* a;  // A[r, k] = a[r * stride + k], and `leap` more after every PANEL values of k
    ptrdiff_t stride;
    int k;
    ptrdiff_t leap = 0;
};

// Where vectors are narrow a tile runs through B faster than a core fetches it from beyond its own cache. So
// it asks for PREFETCHED values of what comes next with every PANEL values of k: PREFETCHING tiles together
// for all that another tile reads.
template <class Real> constexpr bool NARROW = PANEL<Real> <= LINE<Real>;
constexpr int PREFETCHING = 6;
template <class Real>
constexpr int PREFETCHED =
    NARROW<Real> ? ((PANEL<Real> * PANEL<Real> - 1) / (PREFETCHING * LINE<Real>) + 1) * LINE<Real> : 0;

// How a tile's rows lie in memory: row r at first + r * stride.
template <class Real> struct Rows {
    Real* first;
    ptrdiff_t stride;
};

// What a term of a sum does, in each lane; bfloat16.h has another one.
struct MultiplyAdd {
    template <class Real, class V> static RNN_FN void add(V& sum, Real a, V b) { sum += a * b; }
};

// A row of C vectors in registers, from vectors that lie `stride` apart. HALF: of the last one only the first
// half counts, which takes half the time where wide vectors are worked on in two halves.
template <class Real, int C, bool HALF> struct Row {
    typedef Real Half __attribute__((vector_size(BYTES / (HALF ? 2 : 1))));
    static constexpr int FULL = C - 1;
    Vec<Real> v[FULL + 1];
    Half last;

    RNN_FN void load(const Real* p, ptrdiff_t stride) {
        each<FULL>([&](int c) RNN_INLINE { v[c] = ::load(p + c * stride); });
        std::memcpy(&last, p + FULL * stride, sizeof(last));
    }
    RNN_FN void store(Real* p, ptrdiff_t stride) const {
        each<FULL>([&](int c) RNN_INLINE { ::store(p + c * stride, v[c]); });
        std::memcpy(p + FULL * stride, &last, sizeof(last));
    }
    RNN_FN void clear() {
        each<FULL>([&](int c) RNN_INLINE { v[c] = Vec<Real>{}; });
        last = Half{};
    }
    RNN_FN void add(const Row& b) {
        each<FULL>([&](int c) RNN_INLINE { v[c] += b.v[c]; });
        last += b.last;
    }
    template <class Term> RNN_FN void add(Real a, const Row& b) {
        each<FULL>([&](int c) RNN_INLINE { Term::add(v[c], a, b.v[c]); });
        Term::add(last, a, b.last);
    }
};

// `next` is null, or what to ask for.
template <class Real, int R, int C, bool HALF, class Term = MultiplyAdd>
void tile(const Part<Real>* parts, int count, const Real* b, ptrdiff_t b_stride, Rows<const Real> init,
          Rows<Real> out, const Real* next) {
    static_assert(RUN % PANEL<Real> == 0);
    constexpr int L = LANES<Real>;
    Row<Real, C, HALF> sums[R], w, so_far;
    each<R>([&](int r) RNN_INLINE { sums[r].load(init.first + r * init.stride, L); });
    for (const Part<Real>* part = parts; part < parts + count; part++) {
        const Real* a = part->a;
        const ptrdiff_t stride = part->stride, leap = part->leap;
        const auto add_term = [&]() RNN_INLINE {
            w.load(b, b_stride);
            each<R>([&](int r) RNN_INLINE { sums[r].template add<Term>(a[r * stride], w); });
            a++, b += L;
        };
        for (int k = 0; k < part->k;) {
            const int end = part->k - k > RUN ? k + RUN : part->k;
            for (; (leap || next) && end - k >= PANEL<Real>; k += PANEL<Real>, a += leap) {
                if constexpr (NARROW<Real>)
                    each<R>([&](int r) RNN_INLINE {
                        prefetch_lines<PANEL<Real>>(a + PANEL<Real> + leap + r * stride);
                    });
                if (next) prefetch_lines<PREFETCHED<Real>, 2>(next), next += PREFETCHED<Real>;
                RNN_UNROLL
                for (int i = 0; i < PANEL<Real>; i++) add_term();
            }
            RNN_UNROLL
            for (; k < end; k++) add_term();
            if (part->k <= RUN) break;
            each<R>([&](int r) RNN_INLINE {
                Real* total = out.first + r * out.stride;
                if (end > RUN) so_far.load(total, L), sums[r].add(so_far);
                if (end < part->k) sums[r].store(total, L), sums[r].clear();
            });
        }
    }
    each<R>([&](int r) RNN_INLINE { sums[r].store(out.first + r * out.stride, L); });
}

// out[r, :] += sum over k of A[k, r] * B[k, :], for a packed A [K][ROWS], rows of B in a panel, and an out of
// R x C vectors. The sum is made by itself and then added: one block of a long sum.
template <class Real, int R, int C, bool HALF>
void block_sum(const Real* a, const Real* b, int K, Real* out) {
    constexpr int L = LANES<Real>;
    Row<Real, C, HALF> sums[R], w, so_far;
    each<R>([&](int r) RNN_INLINE { sums[r].clear(), prefetch_lines<C * L, 3, true>(out + r * C * L); });
    RNN_UNROLL
    for (int k = 0; k < K; k++, a += ROWS, b += PANEL<Real>) {
        w.load(b, L);
        if constexpr (!NARROW<Real>)  // else a block of rows stays in the first-level cache
            prefetch_lines<C * L>(b + 6 * PANEL<Real>);
        each<R>([&](int r) RNN_INLINE { sums[r].template add<MultiplyAdd>(a[r], w); });
    }
    each<R>([&](int r) RNN_INLINE {
        Real* to = out + r * C * L;
        so_far.load(to, L);
        sums[r].add(so_far);
        sums[r].store(to, L);
    });
}

// As tile, for up to so many rows, and columns of LANES: what products in bfloat16.h look like.
template <class Real>
using AnyTile = void (*)(int rows, int cols, const Part<Real>* parts, int count, const Real* b,
                         ptrdiff_t b_stride, Rows<const Real> init, Rows<Real> out);

// A tile that fits a product.
template <class Real> struct FittingTile {
    decltype(&tile<Real, 1, 1, false>) tile;
    AnyTile<Real> any;  // in place of tile, if it is there
    int rows, cols;

    RNN_FN void operator()(const Part<Real>* parts, int count, const Real* b, ptrdiff_t b_stride,
                           Rows<const Real> init, Rows<Real> out, const Real* next) const {
        if (any) any(rows, cols, parts, count, b, b_stride, init, out);
        else tile(parts, count, b, b_stride, init, out, next);
    }
};

// The functions for tiles that fit, for `rows` rows of `width` columns.
template <class Real> class Tiles {
    static constexpr bool HALVES = BYTES == 64;
    const AnyTile<Real> any;
    decltype(&tile<Real, 1, 1, false>) tiles[ROWS][COLS][2] = {};
    decltype(&block_sum<Real, 1, 1, false>) block_sums[ROWS][COLS][2] = {};

  public:
    explicit Tiles(AnyTile<Real> any) : any(any) { fill<ROWS * COLS>(); }

    static int cols(int width) { return (width + LANES<Real> - 1) / LANES<Real>; }
    static bool half(int width) { return HALVES && (width - 1) % LANES<Real> < LANES<Real> / 2; }
    FittingTile<Real> tile_of(int rows, int width) const {
        if (any) return {nullptr, any, rows, cols(width)};
        return {tiles[rows - 1][cols(width) - 1][half(width)], nullptr, rows, cols(width)};
    }
    auto block_sum_of(int rows, int width) const {
        return block_sums[rows - 1][cols(width) - 1][half(width)];
    }

  private:
    template <int N> void fill() {
        constexpr int r = (N - 1) / COLS, c = (N - 1) % COLS;
        if constexpr (r < FLAT || c < TALL_COLS) {
            tiles[r][c][0] = tile<Real, r + 1, c + 1, false>;
            tiles[r][c][1] = tile<Real, r + 1, c + 1, HALVES>;
        }
        if constexpr (c < TALL_COLS) {
            block_sums[r][c][0] = block_sum<Real, r + 1, c + 1, false>;
            block_sums[r][c][1] = block_sum<Real, r + 1, c + 1, HALVES>;
        }
        if constexpr (N > 1) fill<N - 1>();
    }
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

// W[k, n] = w[k * k_stride + n * n_stride], K x N, into block `block` of B: packed[k][lane], 0 beyond N.
template <class Real>
void pack_block(Real* packed, const Real* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N,
                int block) {
    constexpr int L = LANES<Real>;
    const int lanes = N - block * L < L ? N - block * L : L;
    w += block * L * n_stride;
    if (n_stride == 1) {
        for (int k = 0; k < K; k++) store(packed + k * L, load(w + k * k_stride, lanes));
        return;
    }
    for (int lane = 0; lane < L; lane++)
        for (int k = 0; k < K; k++)
            packed[k * L + lane] = lane < lanes ? w[k * k_stride + lane * n_stride] : Real(0);
}
