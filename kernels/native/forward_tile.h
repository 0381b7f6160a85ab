// What Forward does for one tile of rows and units at one step. Included by forward.h, which has the names.
#pragma once

// Rows b .. b+n, unit blocks j .. j+cols: the products of all gates of a phase, then the cell.
template <class Real>
void Forward<Real>::one_tile(const ThreadScratch& own, const ForwardStep<Real>& at, int step, int place,
                             int phase, int b, int n, int j, int cols) {
    const int width = std::min(cols * L, H - j * L), live = P::rows_to_last_live(step, b, n);
    if (!live) return cell.forward[phase](at, b, n, j * L, cols, own.preact, preact_row);
    const auto tile = tiles.tile_of(live, width);
    const int r = b - own.rows.begin, rows = own.rows.size(), count = cell.count[phase];
    prefetch_results(at, phase, b, n, j * L, width);
    for (int i = 0; i < count; i++) {
        const int gate = cell.first[phase] + i, column = cell.recurrent_column(gate);
        Part<Real> parts[2] = {{own.x + (ptrdiff_t(P::x_copy(gate)) * rows + r) * I, I, I}};
        if (P::x_as_it_is()) parts[0] = {P::x(b, step), call.x_stride[0], I};
        if (call.h_scale) parts[1] = {own.h + (ptrdiff_t(P::h_copy(gate)) * rows + r) * H, H, H};
        else if (phase) parts[1] = {operands[phase] + ptrdiff_t(b) * padded, padded, H};
        else parts[1] = {at.s_prev[0] + b * at.state_row, at.state_row, H};
        const Real *w = W + (ptrdiff_t(gate) * blocks + j) * w_block, *w_h = w + I * L;
        Rows<const Real> init = {bias + gate * padded + j * L, 0};
        const ptrdiff_t xg_row = ptrdiff_t(ahead) * G * padded;
        if (ahead) init = {own.xg + r * xg_row + (place * G + gate) * padded + j * L, xg_row};
        const Rows<Real> preact = {own.preact + i * WIDTH, preact_row};
        const Real* next = P::next_weights(w, w_block, j, cols, own.blocks, r / ROWS, I + H);
        if (column != gate) {  // the two sides stay apart
            tile(parts, ahead ? 0 : 1, w, w_block, init, preact, next);
            const Rows<const Real> init_h = {bias + column * padded + j * L, 0};
            tile(parts + 1, 1, w_h, w_block, init_h, {own.preact + count * WIDTH, preact_row}, nullptr);
        } else if (ahead) {
            tile(parts + 1, 1, w_h, w_block, init, preact, nullptr);
        } else {
            tile(parts, 2, w, w_block, init, preact, next);
        }
    }
    cell.forward[phase](at, b, n, j * L, cols, own.preact, preact_row);
}

// What the cell will write, asked for while the products run.
template <class Real>
void Forward<Real>::prefetch_results(const ForwardStep<Real>& at, int phase, ptrdiff_t b, int n, int u,
                                     int count) const {
    if (phase + 1 < cell.phases) return;
    for (ptrdiff_t row = b; row < b + n; row++) {
        for (int s = 0; s < cell.states; s++) prefetch<true>(at.s[s] + row * at.state_row + u, count);
        for (int a = 0; a < cell.saved && at.saved; a++)
            prefetch<true>(at.saved + row * at.saved_row + a * H + u, count);
        prefetch<true>(at.y + row * at.y_row + u, count);
    }
}
