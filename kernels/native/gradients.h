// The gradients that need no recurrence: dx = D Wx^T, and dW = A^T D for the two weight products, the biases being weights of
// an input that is always 1.
//
// Each tile of dW belongs to one thread, which sums the live rows in their fixed order, in blocks of BLOCK rows: so the bits
// do not depend on the number of threads, and the error is that of short sums. Masked rows are dropped before the products.
#pragma once
#include "plan.h"

template <class T> class Gradients {
    static constexpr int L = LANES<T>, WIDTH = COLS * L, BLOCK = 256;

    struct Product {  // dW[k, units of `gate`, ...] for `gates` gates: sums over the rows of A[row, k] * D[row, column ...]
        enum Source { X, H_PREV, OPERAND, NOTHING } source;
        int copy, k;       // which scaled copy of the source, and its width
        int gate, gates;   // columns of dW
        T *dW, *db;        // [k, dW_row], [dW_row]; null: not wanted
        ptrdiff_t dW_row;
        T* A;              // packed, [tile][row][ROWS], with a 1 after the k values if there is a db
        int width() const { return k + (db != nullptr); }
    };
    struct Own {
        T *z, *row, *D;  // [ROWS][WIDTH], one row of A, [COLS][BLOCK][L]
        int* rows;       // the live rows of the chunk: (step - first step) * B + b
        int count;
    };
    const Plan<T>& plan;
    const Call& call;
    const Cell<T>& cell;
    const int B, I, H, G, padded, x_blocks;
    const ptrdiff_t D_row;
    std::vector<Product> list;
    std::vector<Own> owns;
    T *Wx = nullptr, *zeros;
    const Tiles<T, false> tiles;
    const Tiles<T, true> packed_tiles;

  public:
    Gradients(Plan<T>& plan, int chunk, ptrdiff_t D_row)
        : plan(plan), call(plan.call), cell(plan.cell), B(plan.B), I(plan.I), H(plan.H), G(plan.G), padded(plan.padded), x_blocks(ceil_div(I, L)), D_row(D_row) {
        Scratch& scratch = plan.scratch;
        const ptrdiff_t rows = ptrdiff_t(chunk) * B;
        if (call.dWx) list_products();
        for (Product& product : list) product.A = scratch.take<T>(rows * ceil_div(product.width(), ROWS) * ROWS);
        if (call.dx) Wx = scratch.take<T>(ptrdiff_t(x_blocks) * G * H * L);
        zeros = scratch.take<T>(WIDTH);
        std::fill(zeros, zeros + WIDTH, T(0));
        for (int id = 0; id < plan.threads; id++)
            owns.push_back({scratch.take<T>(ROWS * WIDTH), scratch.take<T>(std::max(I, H) + L), scratch.take<T>(COLS * BLOCK * L), scratch.take<int>(rows), 0});
    }

    // Wx[block][k: the units of gate 0, of gate 1, ...][lane]: Wx transposed.
    void pack(int id) {
        if (!Wx) return;
        const Range own = share(x_blocks, id, plan.threads);
        for (int block = own.begin; block < own.end; block++)
            pack_block(Wx + ptrdiff_t(block) * G * H * L, static_cast<const T*>(call.Wx), 1, ptrdiff_t(G) * H, G * H, I, block);
    }

    // Each thread lists the live rows of the chunk and packs its share of the left sides.
    void gather(int id, Range steps) {
        Own& own = owns[id];
        own.count = 0;
        for (int step = steps.begin; step < steps.end; step++)
            for (int b = 0; b < B; b++)
                if (!call.live || plan.live(step)[ptrdiff_t(b) * plan.steps]) own.rows[own.count++] = (step - steps.begin) * B + b;
        const Range part = share(own.count, id, plan.threads);
        for (const Product& product : list)
            for (int n = part.begin; n < part.end; n++) {
                const T* row = left_side(product, own, own.rows[n] % B, steps.begin + own.rows[n] / B);
                T* to = product.A + ptrdiff_t(n) * ROWS;
                int k = 0;
                for (; k + ROWS <= product.k; k += ROWS, to += ptrdiff_t(own.count) * ROWS) std::memcpy(to, row + k, ROWS * sizeof(T));
                for (int r = 0; k + r < product.width(); r++) to[r] = k + r < product.k ? row[k + r] : T(1);
            }
    }

    void products(int id, Range steps, const T* D) {
        if (call.dx) input_gradient(id, steps, D);
        int64_t total = 0, at = 0;
        for (const Product& p : list) total += int64_t(p.gates) * plan.blocks * p.width();
        const int64_t begin = total * id / plan.threads, end = total * (id + 1) / plan.threads;
        for (const Product& p : list)
            for (int i = 0; i < p.gates; i++)
                for (int j = 0; j < plan.blocks; j += COLS) {
                    const int cols = std::min(COLS, plan.blocks - j);
                    const auto tile_of = [&](int64_t place) {  // the first tile that starts at `place` or later
                        const int64_t k = place <= at ? 0 : std::min<int64_t>((place - at + cols - 1) / cols, p.width());
                        return ceil_div(int(k), ROWS);
                    };
                    if (tile_of(begin) < tile_of(end)) panel(owns[id], p, i, j, cols, {tile_of(begin), tile_of(end)}, D, steps.end == plan.steps);
                    at += int64_t(cols) * p.width();
                }
    }

  private:
    void list_products() {
        T *dWx = static_cast<T*>(call.dWx), *dbx = static_cast<T*>(call.dbx), *dbh = static_cast<T*>(call.dbh);
        const int copies = int(call.x_scale_gates);
        for (int i = 0; i < copies; i++) list.push_back({Product::X, i, I, copies > 1 ? i : 0, copies > 1 ? 1 : G, dWx, dbx, G * H, nullptr});
        for (int phase = 0; phase < cell.phases; phase++) {
            const int groups = call.h_scale_gates > 1 ? cell.count[phase] : 1;
            for (int i = 0; i < groups; i++) {
                const int gate = cell.first[phase] + i;
                list.push_back({phase ? Product::OPERAND : Product::H_PREV, plan.h_copy(gate), H, gate, cell.count[phase] / groups,
                                static_cast<T*>(call.dWh), dbh, G * H, nullptr});
            }
        }
        if (cell.extras) list.push_back({Product::NOTHING, 0, 0, 0, cell.extras, nullptr, static_cast<T*>(call.dp), H, nullptr});
    }

    // One contiguous row of the left side: of x, h_prev or the later phase's operand, times its scale.
    const T* left_side(const Product& product, const Own& own, int b, int step) const {
        if (product.source == Product::NOTHING) return own.row;
        if (product.source == Product::X) {
            if (!call.x_scale && call.x_stride[2] == 1) return plan.x(b, step);
            plan.copy_x(own.row, b, step, product.copy);
            return own.row;
        }
        const T* s_prev[2] = {};
        for (int s = 0; s < cell.states; s++) s_prev[s] = plan.state_before(s, step) + b * plan.state_row();
        const T* row = s_prev[0];
        if (product.source == Product::OPERAND) {
            cell.operand(static_cast<const T*>(call.saved) + (ptrdiff_t(b) * plan.steps + plan.time(step)) * cell.saved * H, s_prev, own.row, H);
            row = own.row;
        }
        if (!call.h_scale) return row;
        const T* scale = plan.h_scale(product.copy, b);
        for (int u = 0; u < H; u++) own.row[u] = row[u] * scale[u];
        return own.row;
    }

    int column(const Product& product, int i) const {
        if (product.source == Product::X) return product.gate + i;
        if (product.source == Product::NOTHING) return cell.columns() + i;
        return cell.recurrent_column(product.gate + i);
    }

    // Some tiles of one panel of dW: gate number i of the product, unit blocks j .. j+cols.
    void panel(const Own& own, const Product& p, int i, int j, int cols, Range own_tiles, const T* D, bool first) {
        for (int n0 = 0; n0 == 0 || n0 < own.count; n0 += BLOCK) {
            const int rows = std::min(BLOCK, own.count - n0);
            for (int n = 0; n < rows; n++)
                for (int c = 0; c < cols; c++)
                    store(own.D + (c * BLOCK + n) * L, load(D + own.rows[n0 + n] * D_row + column(p, i) * padded + (j + c) * L));
            for (int q = own_tiles.begin; q < own_tiles.end; q++) {
                const Part<T> left = {p.A + (ptrdiff_t(q) * own.count + n0) * ROWS, 1, rows};
                const int height = std::min(ROWS, p.width() - q * ROWS);
                packed_tiles.of[height - 1][cols - 1](&left, 1, own.D, BLOCK * L, zeros, 0, own.z, WIDTH);
                for (int r = 0; r < height; r++) {
                    const int k = q * ROWS + r;
                    T* to = (k < p.k ? p.dW + k * p.dW_row : p.db) + (p.gate + i) * H;
                    add(own.z + r * WIDTH, to, j, cols, H, first && n0 == 0);
                }
            }
        }
    }

    // Vectors of a tile's row into blocks j .. j+cols of a row of `width` values: to = from, or to += from.
    static void add(const T* from, T* to, int j, int cols, int width, bool assign) {
        for (int c = 0; c < cols; c++) {
            const int n = width - (j + c) * L;
            T* at = to + (j + c) * L;
            store(at, assign ? load(from + c * L) : load(at, n) + load(from + c * L), n);
        }
    }

    void input_gradient(int id, Range steps, const T* D) {
        const Own& own = owns[id];
        const Range rows = share(steps.size() * B, id, plan.threads);
        const int groups = call.x_scale_gates > 1 ? G : 1, gates = G / groups;
        for (int j = 0; j < x_blocks; j += COLS)
            for (int n = rows.begin, height; n < rows.end; n += height) {
                height = tile_rows(rows.end - n);
                const int cols = std::min(COLS, x_blocks - j);
                for (int i = 0; i < groups; i++) {
                    Part<T> parts[4];
                    for (int g = 0; g < gates; g++) parts[g] = {D + n * D_row + (i + g) * padded, D_row, H};
                    tiles.of[height - 1][cols - 1](parts, gates, Wx + (ptrdiff_t(j) * G + i) * H * L, ptrdiff_t(G) * H * L, zeros, 0, own.z, WIDTH);
                    for (int r = 0; r < height; r++) write_dx(own.z + r * WIDTH, (n + r) % B, steps.begin + (n + r) / B, j, cols, i);
                }
            }
    }

    void write_dx(T* z, int b, int step, int j, int cols, int copy) const {
        T* to = static_cast<T*>(call.dx) + (ptrdiff_t(b) * plan.steps + plan.time(step)) * I;
        if (call.live && !plan.live(step)[ptrdiff_t(b) * plan.steps]) std::fill(z, z + cols * L, T(0));
        else if (call.x_scale)
            for (int i = 0; i < cols * L && j * L + i < I; i++) z[i] *= plan.x_scale(copy, b)[j * L + i];
        add(z, to, j, cols, I, copy == 0);
    }
};
