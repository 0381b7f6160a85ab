// What forward and backward share: sizes, how threads divide the work, where time steps are.
#pragma once
#include <algorithm>
#include <limits>

#include "bfloat16.h"
#include "call.h"
#include "cell.h"
#include "cost.h"
#include "pool.h"
#include "tape.h"

struct Range {
    int begin, end;
    int size() const { return end - begin; }
};

// Part `id` of `parts` nearly equal parts of 0 .. n.
inline Range share(int n, int id, int parts) {
    return {int(int64_t(n) * id / parts), int(int64_t(n) * (id + 1) / parts)};
}

template <class Real> struct Plan {
    const Call& call;
    const Cell<Real>& cell;
    const int halves;  // of the rows in arrays: 2 if tangents come behind the numbers
    const int B, steps, I, H, G;
    const int blocks;  // of LANES units
    const int padded;  // units, filled up to a pair of blocks
    int threads, row_parts, unit_parts;
    int segment;   // steps that a part runs in one go
    int cols;      // blocks in a panel
    bool streams;  // the weights are more than a core's own cache holds for sure
    const bool rounded;  // the operands of the products are words of two bfloat16
    const int height;    // rows in a tile, at most
    Scratch scratch;

    explicit Plan(const Call& call)
        : call(call),
          cell(call.dual ? *static_cast<const Cell<Real>*>(call.form)->dual
                         : *static_cast<const Cell<Real>*>(call.form)),
          halves(call.dual ? 2 : 1), B(int(call.B)), steps(int(call.T)), I(int(call.I)), H(int(call.H)),
          G(cell.gates),
          blocks(ceil_div(H, LANES<Real>)), padded(ceil_div(blocks, 2) * 2 * LANES<Real>),
          rounded(ROUNDS && call.precision),
          height(rounded ? tile_height(Precision(call.precision)) : ROWS) {
        // Each thread runs its own rows through the sequence and waits for nobody. With few rows the units
        // are divided too, at the price of a barrier at each step. Weights beyond a core's own caches stream
        // through it at every step, and few rows do not keep it busy meanwhile: so the units are divided
        // first, and each thread streams its own part.
        const double work = double(B) * steps * G * H * (I + H);
        const double weights = double(G) * (length(I) + length(H)) * padded * sizeof(Real);
        const int most = int(std::min(double(call.threads), 1 + work / 250e3));  // threads that pay
        if (most > 2) divide_cheapest(most);
        else divide_in_two(most, weights);
        threads = row_parts * unit_parts;
        segment = std::max(1, steps);
        streams = weights > 1 << 20;
        // While the weights stay in a core's own cache, many small parts cost no more than a few large ones,
        // and the threads share them out as they come free.
        if (unit_parts == 1 && row_parts > 1 && weights <= 512 << 10) {
            row_parts *= ceil_div(most_rows(), height);
            cut_time(steps, 16);
        }
        cols = most_rows() <= FLAT ? COLS : TALL_COLS;
    }

    // One thread or two, by rules that were measured: the units are divided if a thread's share of the
    // weights keeps it busy for longer than a barrier takes.
    void divide_in_two(int most, double weights) {
        const int fewest = weights > 2 << 20 ? 16 : 2;  // rows of a part
        row_parts = std::max(1, most == 1 ? 1 : std::min(most, B / fewest));
        const int most_units = std::min(ceil_div(blocks, 2), int(double(G) * H * H / 16e3));
        unit_parts = std::max(1, std::min(most / row_parts, most_units));
    }

    // More threads, by what the model says that each grid costs.
    void divide_cheapest(int most) {
        const Precision precision = rounded ? Precision(call.precision) : AS_THEY_ARE;
        const cost::Work work = {B, steps, ceil_div(blocks, 2), G, cell.phases, I, H, length(I), length(H),
                                 height, int(sizeof(Real)), cost::multiply_time(precision),
                                 cost::Caches::here()};
        double least = std::numeric_limits<double>::infinity();
        for (int units = 1; units <= std::min(most, work.pairs); units++) {
            const int rows = std::min(B, most / units);
            const double time = work.call(rows, units);
            if (time < least) least = time, row_parts = rows, unit_parts = units;
        }
    }

    // Cut so many steps into segments, for at least so many pieces for each thread.
    void cut_time(int steps, int least) {
        if (row_parts > threads) segment = ceil_div(steps, ceil_div(least * threads, row_parts));
    }

    // The work on the recurrence is cut into parts, each some rows and some units; with several unit_parts
    // each part is one thread's.
    int parts() const { return row_parts * unit_parts; }
    Range rows(int part) const { return share(B, part / unit_parts, row_parts); }
    Range own_blocks(int part) const {
        const Range pairs = share(ceil_div(blocks, 2), part % unit_parts, unit_parts);
        return {pairs.begin * 2, std::min(pairs.end * 2, blocks)};
    }
    int pieces(int steps) const { return parts() * std::max(1, ceil_div(steps, segment)); }
    int most_rows() const { return ceil_div(B, row_parts); }

    // How many rows the next tile takes when `left` are left: tiles of nearly equal height, but full ones
    // where they are made of whole tile registers.
    int tile_rows(int left) const {
        return height > ROWS ? std::min(left, height) : ceil_div(left, ceil_div(left, height));
    }

    // Operands as products take them, as they are or in words: the length of n values along k, from one row
    // of n values to the next (not all in one corner of the cache), rows, and packed weights.
    static constexpr bool ROUNDS = std::is_same_v<Real, float>;
    int length(int n) const { return rounded ? words(n) : n; }
    ptrdiff_t row(int n) const { return rounded ? words(n) + STEP : n; }
    void round(Real* to, const Real* from, int n) const {
        if constexpr (ROUNDS) round_row(to, from, n);
    }
    void round_pair(Real* to, const Real* a, const Real* b, int n) const {
        if constexpr (ROUNDS) round_rows(to, a, b, n);
    }
    void transpose(Real* to, ptrdiff_t to_row, const Real* from, ptrdiff_t from_row, int rows) const {
        if constexpr (ROUNDS) transpose_words(to, to_row, from, from_row, rows);
    }
    void pack_weights(Real* to, const Real* w, ptrdiff_t k_stride, ptrdiff_t n_stride, int K, int N,
                      int block) const {
        if constexpr (ROUNDS)
            if (rounded) return pack_words(to, w, k_stride, n_stride, K, N, block);
        pack_block(to, w, k_stride, n_stride, K, N, block);
    }
    // W[block][k: the units of gate 0, of gate 1, ...][lane], one block: of Wx or Wh transposed, with N rows.
    void pack_transposed(Real* W, const Real* w, const int64_t* stride, int N, int block) const {
        const ptrdiff_t w_gate = ptrdiff_t(length(H)) * LANES<Real>;
        for (int gate = 0; gate < G; gate++)
            pack_weights(W + (ptrdiff_t(block) * G + gate) * w_gate, w + gate * H * stride[1], stride[1],
                         stride[0], H, N, block);
    }
    Tiles<Real> tiles() const {
        if constexpr (ROUNDS) return Tiles<Real>(words_tile(Precision(call.precision)));
        else return Tiles<Real>(nullptr);
    }

    int time(int step) const { return call.go_backwards ? steps - 1 - step : step; }
    const uint8_t* live(int step) const {
        return call.live ? static_cast<const uint8_t*>(call.live) + time(step) : nullptr;
    }

    // How many of the rows b .. b + n there are up to the last one that is live: the others need no product.
    int rows_to_last_live(int step, int b, int n) const {
        const uint8_t* live = this->live(step);
        while (live && n && !live[ptrdiff_t(b + n - 1) * steps]) n--;
        return n;
    }

    // Rows from B on are those of the tangents.
    const Real* x(int b, int step) const {
        if (b >= B) return static_cast<const Real*>(call.tx) + (ptrdiff_t(b - B) * steps + time(step)) * I;
        return static_cast<const Real*>(call.x) + b * call.x_stride[0] + time(step) * call.x_stride[1];
    }
    ptrdiff_t x_row(int b) const { return b >= B ? ptrdiff_t(steps) * I : call.x_stride[0]; }
    const Real* x_scale(int copy, int b) const {
        return static_cast<const Real*>(call.x_scale) + (ptrdiff_t(copy) * B + b % B) * I;
    }
    const Real* h_scale(int copy, int b) const {
        return static_cast<const Real*>(call.h_scale) + (ptrdiff_t(copy) * B + b % B) * H;
    }

    // The state kept before step number k * recompute_every: row b at checkpoint(s, k) + b *
    // checkpoint_row().
    Real* checkpoint(int s, int k) const { return static_cast<Real*>(call.states[s]) + ptrdiff_t(k) * H; }
    ptrdiff_t checkpoint_row() const { return ptrdiff_t(ceil_div(steps, int(call.recompute_every))) * H; }

    // A row of x can be read where it is.
    bool x_as_it_is() const { return !call.x_scale && call.x_stride[2] == 1; }

    // Some columns of one row of x, into the same columns of `to`, times their scale if there is one.
    void copy_x(Real* to, int b, int step, int copy, Range columns) const {
        const Real* from = x(b, step);
        const int begin = columns.begin;
        const ptrdiff_t stride = b >= B ? 1 : call.x_stride[2];
        if (stride != 1)
            for (int i = begin; i < columns.end; i++) to[i] = from[i * stride];
        else if (!call.x_scale) std::copy(from + begin, from + columns.end, to + begin);
        const Real* plain = stride == 1 ? from : to;
        if (call.x_scale) scaled(to + begin, plain + begin, x_scale(copy, b) + begin, columns.size());
    }
    // The row of x as products take it; `row` is scratch memory for one.
    void x_operand(Real* to, Real* row, int b, int step, int copy) const {
        if (!rounded) return copy_x(to, b, step, copy, {0, I});
        if (!x_as_it_is()) copy_x(row, b, step, copy, {0, I});
        round(to, x_as_it_is() ? x(b, step) : row, I);
    }

    // One gate column of dgates as the left side of a product, from a row on.
    Part<Real> left_side(const Gradients<Real>& dgates, int column, ptrdiff_t row) const {
        if (rounded) return {dgates.operand(column, row), dgates.operand_row, length(H)};
        return {dgates.at(column, row, 0), PANEL<Real>, H, dgates.panel - PANEL<Real>};
    }

    // What a tile asks for: tile number i of those that share the weights w of `cols` blocks from j on, k
    // values of each. It is its part of the weights of the blocks after them; nothing, if the weights are
    // near anyway.
    const Real* next_weights(const Real* w, ptrdiff_t w_block, int j, int cols, Range blocks, int i,
                             int k) const {
        if (!streams || !NARROW<Real> || rounded || i >= PREFETCHING) return nullptr;
        const int step = j + cols < blocks.end ? cols : blocks.begin - j;
        return w + step * w_block + ptrdiff_t(i) * (k / PANEL<Real>) * PREFETCHED<Real>;
    }

    // Which scaled copy of an operand a gate takes: its own, or the one for all.
    int x_copy(int gate) const { return call.x_scale_gates > 1 ? gate : 0; }
    int h_copy(int gate) const { return call.h_scale_gates > 1 ? gate : 0; }
};
