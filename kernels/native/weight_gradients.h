// dW = A^T dgates for every pair of left side and gate columns; a bias is the weight of an input that is
// always 1.
//
// The rows of dW are dealt out in pieces. A thread that takes one sums the live rows of the batch in their
// fixed order, in blocks of BLOCK rows: so the bits do not depend on who takes what, and the rounding error
// is that of short sums. For each block it packs its columns of the left sides and runs them past all panels
// of dgates. Masked rows are dropped: what they hold is never seen.
#pragma once
#include "plan.h"

template <class Real> class WeightGradients {
    static constexpr int L = LANES<Real>, BLOCK = 256, AHEAD = 8;
    // the tiles, and rows of words, are not all in one corner of the cache
    static constexpr ptrdiff_t TILE = BLOCK * ROWS + LINE<Real>, PAIRS = BLOCK / 2 + STEP;

    struct Product {  // dW[k, the units of `gates` gates from `gate` on]
        enum Source { X, STATE_SIDE, NOTHING } source;
        enum Side { INPUT, RECURRENT, EXTRA } side;  // of the gates' gradients
        int phase;  // of STATE_SIDE: 0 takes h_prev, the others their operand
        int copy;   // which scaled copy of the source
        int k;      // the width of the source
        int gate, gates;
        Real* dW;
        Real* db;  // null: no bias
        const int64_t* dW_stride;
        Real* sums;  // [gate][panel][k, and then the bias][cols * L]

        int width() const { return k + (db != nullptr); }
    };
    struct Live {
        int b, step, place;  // in the chunk: (step - first step) * B + b; b from B on: of the tangents
    };
    struct ThreadScratch {  // scratch of one thread
        Real* A;     // [tile][row][ROWS]: k values and then the 1 of the bias; or [k][word of two rows]
        Real* row;   // two rows of left sides
        Real* words;  // [STEP][words_row]: the words of as many pairs of them
        ptrdiff_t words_row;
        Live* rows;  // the live rows of the chunk
        int count = 0, numbers = 0;  // all rows; those that are not of tangents, which come first
    };
    const Plan<Real>& plan;
    const Tape<Real>& tape;
    const Call& call;
    const Cell<Real>& cell;
    const int B, H, G;
    const Tiles<Real> tiles;
    // by phase, the state side of the chunk, if the tape will be that of other steps when they are needed
    Real* kept[MAX_PHASES] = {};
    std::vector<Product> products;
    int count = 0;  // of pieces
    std::vector<ThreadScratch> thread_scratch;

  public:
    WeightGradients(Plan<Real>& plan, const Tape<Real>& tape, int chunk)
        : plan(plan), tape(tape), call(plan.call), cell(plan.cell), B(plan.B), H(plan.H), G(plan.G),
          tiles(plan.tiles()) {
        if (!call.dWx) return;
        list_products();
        const auto take = [&](ptrdiff_t count) { return plan.scratch.template take<Real>(count); };
        const ptrdiff_t rows = ptrdiff_t(plan.halves) * chunk * B;
        for (Product& p : products) p.sums = take(ptrdiff_t(p.gates) * plan.blocks * L * p.width());
        for (int phase = 0; phase < cell.phases && call.recompute_every; phase++)
            kept[phase] = take(rows * H);
        count = count_pieces();
        int most = 0;  // tiles of a product in a piece
        for (const Product& p : products)
            for (int piece = 0; piece < pieces(); piece++)
                most = std::max(most, ceil_div(own_rows(p, piece).size(), ROWS));
        const ptrdiff_t words_row = most * ROWS + STEP;
        for (int id = 0; id < plan.threads; id++)
            thread_scratch.push_back({take(most * TILE), take(2 * (std::max(plan.I, H) + 2 * L)),
                                  take(plan.rounded ? STEP * words_row : 0), words_row,
                                  plan.scratch.template take<Live>(rows)});
    }

    int pieces() const { return count; }

    // Each thread lists for itself the live rows of the chunk.
    void list_rows(int id, Range steps) {
        if (!call.dWx) return;
        ThreadScratch& own = thread_scratch[id];
        own.count = own.numbers = 0;
        for (int half = 0; half < plan.halves; half++)
            for (int step = steps.begin; step < steps.end; step++)
                for (int b = 0; b < B; b++)
                    if (!call.live || plan.live(step)[ptrdiff_t(b) * plan.steps]) {
                        const int place = (half * steps.size() + step - steps.begin) * B + b;
                        own.rows[own.count++] = {half * B + b, step, place};
                        own.numbers += !half;
                    }
    }

    // Keep part i, of as many as there are threads, of what the tape holds of a piece of the chunk.
    void keep(int id, int i, Range steps, Range piece) {
        const Range rows = share(piece.size() * B, i, plan.threads);
        for (int phase = 0; phase < cell.phases && kept[phase]; phase++)
            for (int n = rows.begin; n < rows.end; n++) {
                const Live row = {n % B, piece.begin + n / B, n + (piece.begin - steps.begin) * B};
                const Real* from = state_side(phase, thread_scratch[id].row, row, {0, H});
                std::copy(from, from + H, kept[phase] + ptrdiff_t(row.place) * H);
            }
    }

    // Move the live rows of dgates together, in part i of as many as there are threads. Nobody may need the
    // others any more.
    void drop_masked(int id, int i, const Gradients<Real>& dgates) {
        const ThreadScratch& own = thread_scratch[id];
        const Range panels = share((cell.columns() + cell.extras) * int(dgates.panels(H)), i, plan.threads);
        for (int k = panels.begin; k < panels.end; k++)
            for (int n = 0; n < own.count; n++) {
                Real* panel = dgates.first + k * dgates.panel;
                const ptrdiff_t from = own.rows[n].place;
                if (from != n)
                    std::memcpy(panel + n * PANEL<Real>, panel + from * PANEL<Real>,
                                PANEL<Real> * sizeof(Real));
            }
    }
    bool drops_masked() const { return call.dWx && call.live; }

    // The words of two live rows of dgates, for some of the columns and blocks of units.
    int pairings() const { return plan.rounded && call.dWx ? 4 * plan.threads : 0; }
    void pair_rows(int id, int i, const Gradients<Real>& dgates) const;

    // Add the products of the steps, for the rows of dW of one piece; only live rows are left in dgates.
    void run(int id, int piece, Range steps, const Gradients<Real>& dgates) {
        const ThreadScratch& own = thread_scratch[id];
        for (int n0 = 0; n0 < own.count || n0 == 0; n0 += BLOCK)
            for (const Product& p : products) {
                // a bias is no factor of a tangent, nor is an x that does not move
                const bool all = p.source == Product::STATE_SIDE || (p.source == Product::X && call.tx);
                const int end = all ? own.count : own.numbers, rows = std::min(BLOCK, end - n0);
                const bool first = steps.end == plan.steps && !n0;
                const bool last = steps.begin == 0 && n0 + BLOCK >= end;
                const Range k = own_rows(p, piece);
                if (!k.size() || (n0 && n0 >= end)) continue;
                if (words_of(p)) pack_pairs(p, own, k, n0, rows);
                else pack(p, own, k, n0, rows);
                for (int i = 0; i < p.gates; i++)
                    for (int j = 0; j < plan.blocks; j += TALL_COLS)
                        panel(p, own.A, k, i, j, dgates, n0, rows, first, last);
            }
    }

  private:
    void list_products() {
        const int copies = int(call.x_scale_gates);
        for (int i = 0; i < copies; i++)
            list(Product::X, Product::INPUT, 0, i, copies > 1 ? i : 0, G / copies, call.dWx,
                 call.dWx_stride, call.dbx);
        for (int phase = 0; phase < cell.phases; phase++) {
            // gates with one scale share a product
            const int groups = call.h_scale_gates > 1 ? cell.count[phase] : 1;
            for (int i = 0; i < groups; i++) {
                const int gate = cell.first[phase] + i;
                list(Product::STATE_SIDE, Product::RECURRENT, phase, plan.h_copy(gate), gate,
                     cell.count[phase] / groups, call.dWh, call.dWh_stride, call.dbh);
            }
        }
        if (cell.extras)
            list(Product::NOTHING, Product::EXTRA, 0, 0, 0, cell.extras, nullptr, nullptr, call.dp);
    }

    // A bias is no factor of words: its sum stays exact, and by itself.
    void list(typename Product::Source source, typename Product::Side side, int phase, int copy, int gate,
              int gates, void* dW, const int64_t* dW_stride, void* db) {
        const int k = source == Product::X ? plan.I : source == Product::NOTHING ? 0 : H;
        const bool apart = plan.rounded && k && db;
        products.push_back({source, side, phase, copy, k, gate, gates, static_cast<Real*>(dW),
                            apart ? nullptr : static_cast<Real*>(db), dW_stride, nullptr});
        if (apart) list(Product::NOTHING, side, 0, 0, gate, gates, nullptr, nullptr, db);
    }
    bool words_of(const Product& p) const { return plan.rounded && p.source != Product::NOTHING; }

    // Small pieces even the threads out, but each of them has to read all of dgates, and a little of every
    // row of the left side.
    int count_pieces() const {
        int width = 0;
        for (const Product& p : products) width += p.width();
        if (plan.threads == 1) return 1;
        return plan.threads * std::max(1, std::min(4, width / (16 * ROWS * plan.threads)));
    }

    // The rows of a product that belong to a piece: those of all products stand one after the other, and are
    // cut at full tiles.
    Range own_rows(const Product& product, int piece) const {
        double total = 0, before = 0;  // in rows x gates
        for (const Product& p : products) {
            if (&p == &product) before = total;
            total += double(p.gates) * p.width();
        }
        const auto begin_of = [&](int piece) {
            const double tiles = (total * piece / count - before) / product.gates / plan.height;
            return std::min(product.width(), int(std::min(std::max(0.0, tiles + 0.5), 1e6)) * plan.height);
        };
        return {begin_of(piece), piece + 1 == count ? product.width() : begin_of(piece + 1)};
    }

    void pack(const Product& p, const ThreadScratch& own, Range k, int n0, int rows) const;
    void pack_pairs(const Product& p, const ThreadScratch& own, Range k, int n0, int rows) const;
    void prefetch_row(const Product& p, Live row, Range k) const;
    const Real* left_side(const Product& p, Real* own_row, Live row, Range k) const;
    const Real* state_side(int phase, Real* own_row, Live row, Range k) const;

    // The column of dgates for gate number i of a product.
    int column(const Product& p, int i) const {
        if (p.side == Product::EXTRA) return cell.columns() + i;
        return p.side == Product::INPUT ? p.gate + i : cell.recurrent_column(p.gate + i);
    }

    // Rows k of one panel of dW: gate number i of the product, the TALL_COLS unit blocks from j on.
    void panel(const Product& p, const Real* A, Range k, int i, int j, const Gradients<Real>& dgates, int n0,
               int rows, bool first, bool last) const {
        const int cols = std::min(TALL_COLS, plan.blocks - j), width = cols * L;
        const int count = std::min(width, H - j * L);
        Real* sums = p.sums + (ptrdiff_t(i) * plan.blocks + j) * L * p.width() + k.begin * width;
        if (first) std::fill(sums, sums + k.size() * width, Real(0));
        if (words_of(p)) {
            const Real* pairs = dgates.pairs_at(column(p, i), j) + n0 / 2 * L;
            for (int q = 0, n; q < k.size(); q += n) {
                n = plan.tile_rows(k.size() - q);
                const Part<Real> part = {A + q * PAIRS, PAIRS, words(rows)};
                const Rows<Real> to = {sums + q * width, width};
                tiles.tile_of(n, count)(&part, 1, pairs, dgates.pairs_block, {to.first, width}, to, nullptr);
            }
        } else {
            const Real* right = dgates.at(column(p, i), n0, j * L);
            for (int q = 0; q < k.size(); q += ROWS, A += TILE)
                tiles.block_sum_of(std::min(ROWS, k.size() - q), count)(A, right, rows, sums + q * width);
        }
        const ptrdiff_t column = ptrdiff_t(p.gate + i) * H + j * L;
        for (int q = k.begin; q < k.end && last; q++, sums += width) {
            const ptrdiff_t stride = q < p.k ? p.dW_stride[1] : 1;
            Real* to = q < p.k ? p.dW + q * p.dW_stride[0] + column * stride : p.db + column;
            if (stride == 1) std::copy(sums, sums + count, to);
            else for (int u = 0; u < count; u++) to[u * stride] = sums[u];
        }
    }
};

#include "weight_operands.h"
