// dW = A^T D for every pair of left side and gate columns; a bias is the weight of an input that is always 1.
//
// Each tile of dW belongs to one thread, which sums the live rows in their fixed order, in blocks of BLOCK rows: so the bits do
// not depend on the number of threads, and the rounding error is that of short sums. Masked rows are dropped: what they hold
// is never seen.
#pragma once
#include "plan.h"

template <class T> class WeightGradients {
    static constexpr int L = LANES<T>, BLOCK = 256, BUNCH = 8;

    struct Product {  // dW[k, the units of `gates` gates from `gate` on]
        enum Source { X, H_PREV, OPERAND, NOTHING } source;
        int copy, k;  // which scaled copy of the source, and its width
        int gate, gates;
        T *dW, *db;  // rows of dW_row; db null: no bias
        ptrdiff_t dW_row;
        T *A, *sums;  // [tile][row][ROWS], k values and then the 1 of the bias; [gate][panel][tile][ROWS][cols * L]

        int width() const { return k + (db != nullptr); }
        int tiles() const { return ceil_div(width(), ROWS); }
    };
    struct Own {      // scratch of one thread
        T *row, *D;   // one row of A, [COLS][BLOCK][L]
        int* rows;    // the live rows of the chunk: (step - first step) * B + b
        int count = 0;
    };
    const Plan<T>& plan;
    const Tape<T>& tape;
    const Call& call;
    const Cell<T>& cell;
    const int B, H, G;
    const ptrdiff_t D_row;
    const Tiles<T> tiles;
    std::vector<Product> products;
    std::vector<Own> owns;

  public:
    WeightGradients(Plan<T>& plan, const Tape<T>& tape, int chunk, ptrdiff_t D_row)
        : plan(plan), tape(tape), call(plan.call), cell(plan.cell), B(plan.B), H(plan.H), G(plan.G), D_row(D_row) {
        if (!call.dWx) return;
        list_products();
        const ptrdiff_t rows = ptrdiff_t(chunk) * B;
        const auto take = [&](ptrdiff_t count) { return plan.scratch.template take<T>(count); };
        for (Product& p : products) {
            p.A = take(rows * p.tiles() * ROWS);
            p.sums = take(ptrdiff_t(p.gates) * plan.blocks * L * p.tiles() * ROWS);
        }
        for (int id = 0; id < plan.threads; id++)
            owns.push_back({take(std::max(plan.I, H) + 2 * L), take(COLS * BLOCK * L), plan.scratch.template take<int>(rows)});
    }

    // Each thread lists for itself the live rows of the chunk.
    void list_rows(int id, Range steps) {
        if (!call.dWx) return;
        Own& own = owns[id];
        own.count = 0;
        for (int step = steps.begin; step < steps.end; step++)
            for (int b = 0; b < B; b++)
                if (!call.live || plan.live(step)[ptrdiff_t(b) * plan.steps]) own.rows[own.count++] = (step - steps.begin) * B + b;
    }

    // Each thread packs its share of the left sides of a piece of the chunk; D need not be known yet.
    void gather(int id, Range steps, Range piece) {
        if (!call.dWx) return;
        const Own& own = owns[id];
        const auto first_of = [&](int step) {
            return int(std::lower_bound(own.rows, own.rows + own.count, (step - steps.begin) * B) - own.rows);
        };
        const int first = first_of(piece.begin);
        Range part = share(first_of(piece.end) - first, id, plan.threads);
        part = {part.begin + first, part.end + first};
        for (int n = part.begin; n < part.end; n += BUNCH)  // a few rows at a time, which stay in the cache for all products
            for (const Product& p : products)
                for (int i = n; i < std::min(n + BUNCH, part.end); i++) pack_row(p, own, i, steps.begin);
    }

    // Add the products of the steps: the tiles of all panels, one after the other, cut into one run for each thread.
    void run(int id, Range steps, const T* D) {
        if (!call.dWx) return;
        int64_t total = 0, at = 0;  // in rows x blocks of dW
        for (const Product& p : products) total += int64_t(p.gates) * plan.blocks * p.width();
        const int64_t begin = total * id / plan.threads, end = total * (id + 1) / plan.threads;
        for (const Product& p : products)
            for (int i = 0; i < p.gates; i++)
                for (int j = 0; j < plan.blocks; j += TALL_COLS) {
                    const int cols = std::min(TALL_COLS, plan.blocks - j);
                    const auto first_from = [&](int64_t place) {  // the first tile that begins at `place` or later
                        const int64_t k = std::min<int64_t>((std::max<int64_t>(place - at, 0) + cols - 1) / cols, p.width());
                        return ceil_div(int(k), ROWS);
                    };
                    const Range own = {first_from(begin), first_from(end)};
                    if (own.size()) panel(owns[id], p, i, j, cols, own, steps, D);
                    at += int64_t(cols) * p.width();
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
        products.push_back({source, copy, k, gate, gates, static_cast<T*>(dW), static_cast<T*>(db), row, nullptr, nullptr});
    }

    // Row n of the left side: ROWS of its values into each tile, then the 1 of the bias.
    void pack_row(const Product& p, const Own& own, int n, int first_step) const {
        const T* row = left_side(p, own, own.rows[n] % B, first_step + own.rows[n] / B);
        const ptrdiff_t tile_size = ptrdiff_t(own.count) * ROWS;
        T* to = p.A + ptrdiff_t(n) * ROWS;
        int k = 0;
        for (; k + ROWS <= p.k; k += ROWS, to += tile_size) std::memcpy(to, row + k, ROWS * sizeof(T));
        for (int r = 0; k + r < p.width(); r++) to[r] = k + r < p.k ? row[k + r] : T(1);
    }

    // One contiguous row of the left side: of x, h_prev or the later phase's operand, times its scale.
    const T* left_side(const Product& p, const Own& own, int b, int step) const {
        if (p.source == Product::NOTHING) return own.row;
        if (p.source == Product::X) {
            if (!call.x_scale && call.x_stride[2] == 1) return plan.x(b, step);
            plan.copy_x(own.row, b, step, p.copy);
            return own.row;
        }
        const T* s_prev[2] = {};
        for (int s = 0; s < cell.states; s++) s_prev[s] = tape.before(s, step) + b * tape.state_row;
        const T* row = s_prev[0];
        if (p.source == Product::OPERAND) {
            cell.operand(tape.saved_at(step) + b * tape.saved_row, s_prev, own.row, H);
            row = own.row;
        }
        if (!call.h_scale) return row;
        scaled(own.row, row, plan.h_scale(p.copy, b), H);
        return own.row;
    }

    // The column of D for gate number i of a product.
    int column(const Product& p, int i) const {
        if (p.source == Product::X) return p.gate + i;
        if (p.source == Product::NOTHING) return cell.columns() + i;
        return cell.recurrent_column(p.gate + i);
    }

    // Some tiles of one panel: gate number i of the product, unit blocks j .. j+cols.
    void panel(const Own& own, const Product& p, int i, int j, int cols, Range own_tiles, Range steps, const T* D) {
        const int tile_size = ROWS * cols * L;
        T* sums = p.sums + (ptrdiff_t(i) * plan.blocks + j) * L * p.tiles() * ROWS;
        if (steps.end == plan.steps) std::fill(sums + own_tiles.begin * tile_size, sums + own_tiles.end * tile_size, T(0));
        const T* from = D + ptrdiff_t(column(p, i)) * plan.padded + j * L;
        for (int n0 = 0; n0 < own.count; n0 += BLOCK) {
            const int rows = std::min(BLOCK, own.count - n0);
            for (int n = 0; n < rows; n++) {
                if (n + BUNCH < rows) ask_for(from + own.rows[n0 + n + BUNCH] * D_row, cols * L);
                for (int c = 0; c < cols; c++) store(own.D + (c * BLOCK + n) * L, load(from + own.rows[n0 + n] * D_row + c * L));
            }
            for (int q = own_tiles.begin; q < own_tiles.end; q++) {
                const int height = std::min(ROWS, p.width() - q * ROWS);
                const T* A = p.A + (ptrdiff_t(q) * own.count + n0) * ROWS;
                tiles.block_sum_of[height - 1][cols - 1](A, own.D, BLOCK * L, rows, sums + q * tile_size);
            }
        }
        if (steps.begin == 0) write(p, i, j, cols, own_tiles, sums);
    }

    // The finished sums of some tiles, into dW and db.
    void write(const Product& p, int i, int j, int cols, Range own_tiles, const T* sums) const {
        const int count = std::min(cols * L, H - j * L);
        for (int k = own_tiles.begin * ROWS; k < std::min(own_tiles.end * ROWS, p.width()); k++) {
            T* to = (k < p.k ? p.dW + k * p.dW_row : p.db) + (p.gate + i) * H + j * L;
            std::copy(sums + k * cols * L, sums + k * cols * L + count, to);
        }
    }
};
