// dx = dgates Wx^T, once dgates of some steps is known: the rows of those steps are shared out among all
// threads. Where numbers carry tangents it is the tangent of dx: dgates' Wx^T + dgates Wx'^T.
#pragma once
#include "plan.h"

template <class Real> class InputGradient {
    static constexpr int L = LANES<Real>, WIDTH = COLS * L;

    const Plan<Real>& plan;
    const Call& call;
    const int B, I, H, G, blocks;  // blocks of LANES inputs
    const Tiles<Real> tiles;
    Real *W = nullptr, *tW = nullptr, *zeros, *product;

  public:
    explicit InputGradient(Plan<Real>& plan)
        : plan(plan), call(plan.call), B(plan.B), I(plan.I), H(plan.H), G(plan.G), blocks(ceil_div(I, L)),
          tiles(plan.tiles()) {
        if (!call.dx) return;
        W = plan.scratch.template take<Real>(ptrdiff_t(blocks) * G * plan.length(H) * L);
        if (call.tWx) tW = plan.scratch.template take<Real>(ptrdiff_t(blocks) * G * H * L);
        zeros = plan.scratch.template take<Real>(WIDTH);
        std::fill(zeros, zeros + WIDTH, Real(0));
        product = plan.scratch.template take<Real>(ptrdiff_t(plan.threads) * 2 * plan.height * WIDTH);
        std::fill(product, product + ptrdiff_t(plan.threads) * 2 * plan.height * WIDTH, Real(0));
    }

    // W[block][k: the units of gate 0, of gate 1, ...][lane]: Wx transposed, one block at a time.
    int packs() const { return call.dx ? blocks : 0; }
    void pack(int i) {
        const int64_t usual[] = {ptrdiff_t(G) * H, 1};
        const auto pack = [&](Real* to, const void* w, const int64_t* stride) {
            const Real* Wx = static_cast<const Real*>(w);
            plan.pack_transposed(to, Wx, stride, I, i);
        };
        pack(W, call.Wx, call.Wx_stride);
        if (tW) pack(tW, call.tWx, usual);
    }

    // Piece i of dx of the steps from `steps`; row n of dgates is step steps.begin + n / B, batch row n % B.
    // In thread `id`.
    int pieces() const { return call.dx ? plan.threads == 1 ? 1 : 4 * plan.threads : 0; }
    void run(int id, int i, Range steps, const Gradients<Real>& dgates) {
        Real* own = product + ptrdiff_t(id) * 2 * plan.height * WIDTH;
        Real* sums = call.x_scale ? own + plan.height * WIDTH : own;
        const Range rows = share(steps.size() * B, i, pieces());
        const ptrdiff_t w_gate = ptrdiff_t(plan.length(H)) * L, w_block = G * w_gate;
        const ptrdiff_t far = ptrdiff_t(steps.size()) * B;
        // gates with one scale share a product
        const int groups = call.x_scale_gates > 1 ? G : 1, gates = G / groups;
        for (int j = 0; j < blocks; j += TALL_COLS) {
            const int cols = std::min(TALL_COLS, blocks - j), count = std::min(I - j * L, cols * L);
            for (int n = rows.begin, height; n < rows.end; n += height) {
                height = plan.tile_rows(rows.end - n);
                for (int r = 0; r < height; r++)
                    prefetch<true>(row_of((n + r) % B, steps.begin + (n + r) / B) + j * L, count);
                if (call.x_scale) std::fill(sums, sums + height * WIDTH, Real(0));
                for (int gate = 0; gate < groups && any_live(n, height, steps.begin); gate++) {
                    const auto parts_from = [&](ptrdiff_t row, Part<Real>* parts) {
                        for (int g = 0; g < gates; g++) parts[g] = plan.left_side(dgates, gate + g, row);
                        return parts;
                    };
                    Part<Real> parts[MAX_GATES];
                    const ptrdiff_t place = j * w_block + gate * w_gate;
                    const Real* next = plan.next_weights(W + place, w_block, j, TALL_COLS, {0, blocks},
                                                        (n - rows.begin) / ROWS, gates * H);
                    const auto tile = tiles.tile_of(height, count);
                    tile(parts_from(n, parts), gates, W + place, w_block, {zeros, 0}, {own, WIDTH}, next);
                    if (tW)
                        tile(parts_from(far + n, parts), gates, tW + place, w_block, {own, WIDTH},
                             {own, WIDTH}, nullptr);
                    for (int r = 0; r < height && call.x_scale; r++)
                        add_scaled(sums + r * WIDTH, own + r * WIDTH, plan.x_scale(gate, (n + r) % B) + j * L,
                                   count);
                }
                for (int r = 0; r < height; r++)
                    write(sums + r * WIDTH, (n + r) % B, steps.begin + (n + r) / B, j * L, count);
            }
        }
    }

  private:
    bool is_live(int b, int step) const {
        return !call.live || plan.live(step)[ptrdiff_t(b) * plan.steps];
    }
    bool any_live(int n, int count, int first_step) const {
        for (int end = n + count; n < end; n++)
            if (is_live(n % B, first_step + n / B)) return true;
        return false;
    }

    Real* row_of(int b, int step) const {
        return static_cast<Real*>(call.dx) + b * call.dx_stride[0] + plan.time(step) * call.dx_stride[1];
    }

    // One row of a tile. A masked step's dx is 0.
    void write(const Real* from, int b, int step, int i0, int count) const {
        Real* to = row_of(b, step) + i0;
        if (!is_live(b, step)) return std::fill(to, to + count, Real(0));
        for (int i = 0; i < count; i += L) store(to + i, load(from + i), count - i);
    }
};
