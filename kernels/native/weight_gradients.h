// dW = A^T D for every pair of left side and gate columns; a bias is the weight of an input that is always 1.
//
// The rows of dW are dealt out in pieces. A thread that takes one sums the live rows of the batch in their fixed order, in blocks
// of BLOCK rows: so the bits do not depend on who takes what, and the rounding error is that of short sums. For each block it
// packs its columns of the left sides and runs them past all panels of D. Masked rows are dropped: what they hold is never seen.
#pragma once
#include "plan.h"

template <class T> class WeightGradients {
    static constexpr int L = LANES<T>, BLOCK = 256, AHEAD = 8;
    static constexpr ptrdiff_t TILE = BLOCK * ROWS + LINE<T>;  // the tiles are not all in one corner of the cache

    struct Product {  // dW[k, the units of `gates` gates from `gate` on]
        enum Source { X, H_PREV, OPERAND, NOTHING } source;
        int copy, k;  // which scaled copy of the source, and its width
        int gate, gates;
        T *dW, *db;  // rows of dW_row; db null: no bias
        ptrdiff_t dW_row;
        T* sums;  // [gate][panel][k, and then the bias][cols * L]

        int width() const { return k + (db != nullptr); }
    };
    struct Live {
        int b, step, place;  // in the chunk: (step - first step) * B + b
    };
    struct Own {  // scratch of one thread
        T *A, *row;  // [tile][row][ROWS]: k values and then the 1 of the bias; one row of a left side
        Live* rows;  // the live rows of the chunk
        int count = 0;
    };
    const Plan<T>& plan;
    const Tape<T>& tape;
    const Call& call;
    const Cell<T>& cell;
    const int B, H, G;
    const Tiles<T> tiles;
    T* kept[2] = {};  // H_PREV and OPERAND of the chunk, if the tape will be that of other steps when they are needed
    std::vector<Product> products;
    int count = 0;  // of pieces
    std::vector<Own> owns;

  public:
    WeightGradients(Plan<T>& plan, const Tape<T>& tape, int chunk)
        : plan(plan), tape(tape), call(plan.call), cell(plan.cell), B(plan.B), H(plan.H), G(plan.G) {
        if (!call.dWx) return;
        list_products();
        const auto take = [&](ptrdiff_t count) { return plan.scratch.template take<T>(count); };
        const ptrdiff_t rows = ptrdiff_t(chunk) * B;
        for (Product& p : products) p.sums = take(ptrdiff_t(p.gates) * plan.blocks * L * p.width());
        for (int phase = 0; phase < cell.phases && call.recompute_every; phase++) kept[phase] = take(rows * H);
        count = count_pieces();
        int most = 0;  // tiles of a product in a piece
        for (const Product& p : products)
            for (int piece = 0; piece < pieces(); piece++) most = std::max(most, ceil_div(own_rows(p, piece).size(), ROWS));
        for (int id = 0; id < plan.threads; id++)
            owns.push_back({take(most * TILE), take(std::max(plan.I, H) + 2 * L), plan.scratch.template take<Live>(rows)});
    }

    int pieces() const { return count; }

    // Each thread lists for itself the live rows of the chunk.
    void list_rows(int id, Range steps) {
        if (!call.dWx) return;
        Own& own = owns[id];
        own.count = 0;
        for (int step = steps.begin; step < steps.end; step++)
            for (int b = 0; b < B; b++)
                if (!call.live || plan.live(step)[ptrdiff_t(b) * plan.steps])
                    own.rows[own.count++] = {b, step, (step - steps.begin) * B + b};
    }

    // Keep part i, of as many as there are threads, of what the tape holds of a piece of the chunk.
    void keep(int id, int i, Range steps, Range piece) {
        const Range rows = share(piece.size() * B, i, plan.threads);
        for (int phase = 0; phase < 2 && kept[phase]; phase++)
            for (int n = rows.begin; n < rows.end; n++) {
                const Live row = {n % B, piece.begin + n / B, n + (piece.begin - steps.begin) * B};
                const T* from = state_side(phase, owns[id], row, {0, H});
                std::copy(from, from + H, kept[phase] + ptrdiff_t(row.place) * H);
            }
    }

    // Move the live rows of D together, in part i of as many as there are threads. Nobody may need the others any more.
    void drop_masked(int id, int i, const Gradients<T>& D) {
        const Own& own = owns[id];
        const Range panels = share((cell.columns() + cell.extras) * int(D.panels(H)), i, plan.threads);
        for (int k = panels.begin; k < panels.end; k++)
            for (int n = 0; n < own.count; n++) {
                T* panel = D.first + k * D.panel;
                const ptrdiff_t from = own.rows[n].place;
                if (from != n) std::memcpy(panel + n * PANEL<T>, panel + from * PANEL<T>, PANEL<T> * sizeof(T));
            }
    }
    bool drops_masked() const { return call.dWx && call.live; }

    // Add the products of the steps, for the rows of dW of one piece; only live rows are left in D.
    void run(int id, int piece, Range steps, const Gradients<T>& D) {
        const Own& own = owns[id];
        for (int n0 = 0; n0 < own.count || n0 == 0; n0 += BLOCK)
            for (const Product& p : products) {
                const int rows = std::min(BLOCK, own.count - n0);
                const bool first = steps.end == plan.steps && !n0, last = steps.begin == 0 && n0 + BLOCK >= own.count;
                const Range k = own_rows(p, piece);
                if (!k.size()) continue;
                pack(p, own, k, n0, rows);
                for (int i = 0; i < p.gates; i++)
                    for (int j = 0; j < plan.blocks; j += TALL_COLS)
                        panel(p, own.A, k, i, j, D.at(column(p, i), n0, j * L), rows, first, last);
            }
    }

  private:
    void list_products() {
        const int copies = int(call.x_scale_gates);
        for (int i = 0; i < copies; i++)
            list(Product::X, i, copies > 1 ? i : 0, G / copies, call.dWx, call.dbx);
        for (int phase = 0; phase < cell.phases; phase++) {
            const int groups = call.h_scale_gates > 1 ? cell.count[phase] : 1;  // gates with one scale share a product
            for (int i = 0; i < groups; i++) {
                const int gate = cell.first[phase] + i;
                const auto source = phase ? Product::OPERAND : Product::H_PREV;
                list(source, plan.h_copy(gate), gate, cell.count[phase] / groups, call.dWh, call.dbh);
            }
        }
        if (cell.extras) list(Product::NOTHING, 0, 0, cell.extras, nullptr, call.dp);
    }

    void list(typename Product::Source source, int copy, int gate, int gates, void* dW, void* db) {
        const int k = source == Product::X ? plan.I : source == Product::NOTHING ? 0 : H;
        const ptrdiff_t row = ptrdiff_t(source == Product::NOTHING ? cell.extras : G) * H;
        products.push_back({source, copy, k, gate, gates, static_cast<T*>(dW), static_cast<T*>(db), row, nullptr});
    }

    // Small pieces even the threads out, but each of them has to read all of D, and a little of every row of the left side.
    int count_pieces() const {
        int width = 0;
        for (const Product& p : products) width += p.width();
        return plan.threads == 1 ? 1 : plan.threads * std::max(1, std::min(4, width / (16 * ROWS * plan.threads)));
    }

    // The rows of a product that belong to a piece: those of all products stand one after the other, and are cut at full tiles.
    Range own_rows(const Product& product, int piece) const {
        double total = 0, before = 0;  // in rows x gates
        for (const Product& p : products) {
            if (&p == &product) before = total;
            total += double(p.gates) * p.width();
        }
        const auto begin_of = [&](int piece) {
            const double tiles = (total * piece / count - before) / product.gates / ROWS;
            return std::min(product.width(), int(std::min(std::max(0.0, tiles + 0.5), 1e6)) * ROWS);
        };
        return {begin_of(piece), piece + 1 == count ? product.width() : begin_of(piece + 1)};
    }

    // Columns k of the rows from n0 on: ROWS of them into each tile, then the 1 of the bias.
    void pack(const Product& p, const Own& own, Range k, int n0, int rows) const {
        for (int n = 0; n < rows; n++) {
            if (n + AHEAD < rows) ask_for_row(p, own.rows[n0 + n + AHEAD], k);
            const T* row = left_side(p, own, own.rows[n0 + n], {k.begin, std::min(k.end, p.k)});
            T* to = own.A + n * ROWS;
            int i = k.begin;
            for (; i + ROWS <= std::min(k.end, p.k); i += ROWS, to += TILE) std::memcpy(to, row + i, ROWS * sizeof(T));
            for (int r = 0; i + r < k.end; r++) to[r] = i + r < p.k ? row[i + r] : T(1);
        }
    }

    void ask_for_row(const Product& p, Live row, Range k) const {
        if (p.source == Product::X) ask_for(plan.x(row.b, row.step) + k.begin * call.x_stride[2], k.size());
        else if (p.source != Product::NOTHING && !kept[0])
            ask_for(tape.before(0, row.step) + row.b * tape.state_row + k.begin, k.size());
    }

    // Columns k of one contiguous row of the left side: of x, h_prev or the later phase's operand, times its scale.
    const T* left_side(const Product& p, const Own& own, Live row, Range k) const {
        if (p.source == Product::NOTHING) return own.row;
        if (p.source == Product::X) {
            if (plan.x_as_it_is()) return plan.x(row.b, row.step);
            plan.copy_x(own.row, row.b, row.step, p.copy, k);
            return own.row;
        }
        const int phase = p.source == Product::OPERAND;
        const T* from = kept[phase] ? kept[phase] + ptrdiff_t(row.place) * H : state_side(phase, own, row, k);
        if (!call.h_scale) return from;
        scaled(own.row + k.begin, from + k.begin, plan.h_scale(p.copy, row.b) + k.begin, k.size());
        return own.row;
    }

    // h_prev (phase 0), or the operand of the later phase.
    const T* state_side(int phase, const Own& own, Live row, Range k) const {
        const T* s_prev[2] = {};
        for (int s = 0; s < cell.states; s++) s_prev[s] = tape.before(s, row.step) + row.b * tape.state_row;
        if (!phase) return s_prev[0];
        cell.operand(tape.saved_at(row.step) + row.b * tape.saved_row, s_prev, own.row, H, k.begin, k.end);
        return own.row;
    }

    // The column of D for gate number i of a product.
    int column(const Product& p, int i) const {
        if (p.source == Product::X) return p.gate + i;
        if (p.source == Product::NOTHING) return cell.columns() + i;
        return cell.recurrent_column(p.gate + i);
    }

    // Rows k of one panel of dW: gate number i of the product, the TALL_COLS unit blocks from j on.
    void panel(const Product& p, const T* A, Range k, int i, int j, const T* D, int rows, bool first, bool last) const {
        const int cols = std::min(TALL_COLS, plan.blocks - j), width = cols * L, count = std::min(width, H - j * L);
        T* sums = p.sums + (ptrdiff_t(i) * plan.blocks + j) * L * p.width() + k.begin * width;
        if (first) std::fill(sums, sums + k.size() * width, T(0));
        for (int q = 0; q < k.size(); q += ROWS, A += TILE)
            tiles.block_sum_of(std::min(ROWS, k.size() - q), count)(A, D, rows, sums + q * width);
        for (int q = k.begin; q < k.end && last; q++, sums += width)
            std::copy(sums, sums + count, (q < p.k ? p.dW + q * p.dW_row : p.db) + (p.gate + i) * H + j * L);
    }
};
