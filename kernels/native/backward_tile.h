// What Backward does for one tile of rows and units at one step. Included by backward.h, which has the names.
#pragma once

// hg = operand Wh, so the operand's gradient is dgates Wh^T: added to that of h_prev in phase 0, else
// that of the operand.
template <class Real>
void Backward<Real>::one_tile(const ThreadScratch& own, const BackwardStep<Real>& at, int phase, int b, int n,
                              int j, int cols) {
    const int width = std::min(cols * L, H - j * L);
    const auto tile = tiles.tile_of(n, width);
    const int count = cell.count[phase];
    const ptrdiff_t w_gate = ptrdiff_t(P::length(H)) * L, w_block = G * w_gate;
    const ptrdiff_t place = j * w_block + cell.first[phase] * w_gate;
    const Real* next = P::next_weights(W + place, w_block, j, cols, own.blocks, (b - own.rows.begin) / ROWS,
                                         count * H);
    // first the gradients by the numbers, then those by their tangents
    for (int half = 0; half < P::halves; half++) {
        Real* to = (phase ? d_operand : ds[0]) + ptrdiff_t(half * B + b) * padded + j * L;
        Part<Real> parts[MAX_GATES], far[MAX_GATES];
        for (int i = 0; i < count; i++) {
            const int column = cell.recurrent_column(cell.first[phase] + i);
            parts[i] = far[i] = P::left_side(dgates, column, at.dgates_row + b);
            (half ? parts[i] : far[i]).a += at.dgates_far;
        }
        // (dhg Wh^T)' = dhg' Wh^T + dhg Wh'^T, where dhg, of first order, stands by the tangents
        const Real* tw = tW && !half ? tW + place : nullptr;
        const auto product = [&](int i, int gates, Rows<const Real> init, Rows<Real> out, const Real* next) {
            tile(parts + i, gates, W + place + i * w_gate, w_block, init, out, next);
            if (tw) tile(far + i, gates, tw + i * w_gate, w_block, {out.first, out.stride}, out, nullptr);
        };
        if (!call.h_scale) {
            const Rows<const Real> init = phase ? Rows<const Real>{zeros, 0} : Rows<const Real>{to, padded};
            product(0, count, init, {to, padded}, next);
            continue;
        }
        for (int r = 0; r < n && phase; r++) std::fill(to + r * padded, to + r * padded + cols * L, Real(0));
        // gates with one scale share a product
        const int groups = call.h_scale_gates > 1 ? count : 1, gates = count / groups;
        for (int i = 0; i < groups; i++) {
            product(i, gates, {zeros, 0}, {own.product, WIDTH}, groups == 1 ? next : nullptr);
            for (int r = 0; r < n; r++) {
                const Real* scale = P::h_scale(P::h_copy(cell.first[phase] + i), b + r) + j * L;
                add_scaled(to + r * padded, own.product + r * WIDTH, scale, width);
            }
        }
    }
}

// The gate gradients of a phase once more, as the left sides of products.
template <class Real>
void Backward<Real>::round_gradients(const ThreadScratch& own, const BackwardStep<Real>& at,
                                     int phase) const {
    const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
    const auto round = [&](int column) {
        for (int b = own.rows.begin; b < own.rows.end; b++)
            for (int u = u0, n; u < u1; u += n) {
                const ptrdiff_t row = at.dgates_row + b;
                n = std::min(PANEL<Real> - u % PANEL<Real>, u1 - u);
                P::round(dgates.operand(column, row) + u / 2, dgates.at(column, row, u), n);
            }
    };
    for (int i = 0; i < cell.count[phase]; i++) round(cell.first[phase] + i);
    if (!cell.shared && phase + 1 == cell.phases) round(cell.recurrent_column(G - 1));
}

// What the cell will read in the next step, asked for while the products run.
template <class Real>
void Backward<Real>::prefetch_rows(const ThreadScratch& own, int step, ptrdiff_t b, int n) const {
    const int u = own.blocks.begin * L, count = std::min(H, own.blocks.end * L) - u;
    const Real* dy = call.dy ? static_cast<const Real*>(call.dy) + step * call.dy_stride[1] : nullptr;
    for (ptrdiff_t row = b; row < b + n; row++) {
        for (int s = 0; s < cell.states; s++)
            prefetch(tape.before(s, step) + row * tape.state_row + u, count);
        for (int a = 0; a < cell.saved; a++)
            prefetch(tape.saved_at(step) + row * tape.saved_row + a * H + u, count);
        if (dy) prefetch(dy + row * call.dy_stride[0] + u, count);
    }
}
