// What Forward does for one tile of rows and units at one step. Included by forward.h, which has the names.
#pragma once

// Rows b .. b+n, unit blocks j .. j+cols: the products of all gates of a phase, then the cell.
template <class Real>
void Forward<Real>::one_tile(const ThreadScratch& own, const ForwardStep<Real>& at, int step, int place,
                             int phase, int b, int n, int j, int cols) {
    const int width = std::min(cols * L, H - j * L), live = P::rows_to_last_live(step, b, n);
    if (!live) return cell.forward[phase](at, b, n, j * L, cols, own.preact, preact_row);
    const auto tile = tiles.tile_of(live, width);
    const int r = b - own.rows.begin, count = cell.count[phase];
    prefetch_results(at, phase, b, n, j * L, width);
    for (int i = 0; i < count; i++) {
        const int gate = cell.first[phase] + i, column = cell.recurrent_column(gate);
        Part<Real> parts[2], t_parts[2];
        left_sides(own, at, step, phase, gate, b, parts);
        const Real *w = W + (ptrdiff_t(gate) * blocks + j) * w_block, *w_h = w + P::length(I) * L;
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
        if (!call.dual) continue;
        left_sides(own, at, step, phase, gate, B + b, t_parts);
        Real* t_preact = own.preact + ROWS * preact_row;
        tangents(parts, t_parts, gate, live, j, width, t_preact + i * WIDTH,
                 t_preact + (column == gate ? i : count) * WIDTH);
    }
    cell.forward[phase](at, b, n, j * L, cols, own.preact, preact_row);
}

// Where numbers carry tangents: (x Wx + h Wh)' = x' Wx + h' Wh + x Wx' + h Wh', without what is 0.
template <class Real>
void Forward<Real>::tangents(const Part<Real>* parts, const Part<Real>* t_parts, int gate, int n, int j,
                             int width, Real* preact_x, Real* preact_h) const {
    const auto tile = tiles.tile_of(n, width);
    const ptrdiff_t place = (ptrdiff_t(gate) * blocks + j) * w_block;
    const bool apart = preact_x != preact_h;
    const auto biases = [&](int column) { return Rows<const Real>{tbias + j * L + column * padded, 0}; };
    const auto product = [&](const Part<Real>* from, const Real* w, bool x, bool h, bool first) {
        const int begin = x ? 0 : 1, count = (x ? 1 : 0) + (h && !apart ? 1 : 0);
        const Rows<Real> to = {preact_x, preact_row}, to_h = {preact_h, preact_row};
        const auto now = [&](Rows<Real> at) { return Rows<const Real>{at.first, at.stride}; };
        if (count || first)
            tile(from + begin, count, w + begin * I * L, w_block, first ? biases(gate) : now(to), to,
                 nullptr);
        if (h && apart)
            tile(from + 1, 1, w + I * L, w_block, first ? biases(cell.recurrent_column(gate)) : now(to_h),
                 to_h, nullptr);
    };
    product(t_parts, W + place, call.tx, true, true);
    if (tW) product(parts, tW + place, call.tWx, call.tWh, false);
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
