// The left sides of Forward's products: x and h_prev, or the operand of a later phase. Where they cannot be
// read where they lie, they are scaled or rounded first. Included by forward.h, which has the names.
#pragma once

// x[copy][row] of one step.
template <class Real> void Forward<Real>::copy_x_of_step(const ThreadScratch& own, int step) const {
    Real* to = own.x;
    for (int half = 0; half < (call.tx ? 2 : 1); half++)
        for (int copy = 0; copy < call.x_scale_gates; copy++)
            for (int b = own.rows.begin; b < own.rows.end; b++, to += P::row(I))
                P::x_operand(to, own.row, half * B + b, step, copy);
}

// h[copy][row] of one phase of one step.
template <class Real>
void Forward<Real>::copy_h(const ThreadScratch& own, const ForwardStep<Real>& at, int phase) const {
    const int rows = own.rows.size();
    for (int i = 0; i < (call.h_scale_gates > 1 ? cell.count[phase] : 1); i++) {
        const int copy = P::h_copy(cell.first[phase] + i);
        for (int r = 0; r < rows; r++) {
            const ptrdiff_t b = own.rows.begin + r;
            for (int half = 0; half < P::halves; half++) {
                const ptrdiff_t row = half * B + b;
                const Real* h = phase ? operands[phase] + row * padded : at.s_prev[0] + row * at.state_row;
                Real* to = own.h + ((half * call.h_scale_gates + copy) * rows + r) * P::row(H);
                Real* scaled_h = P::rounded ? own.row : to;
                if (call.h_scale) scaled(scaled_h, h, P::h_scale(copy, int(b)), H);
                if (P::rounded) P::round(to, call.h_scale ? scaled_h : h, H);
            }
        }
    }
}

// xg = bias + x Wx of the next steps: here the tiles run along time.
template <class Real> void Forward<Real>::project_ahead(const ThreadScratch& own, Range range) {
    const ptrdiff_t x_row = P::row(I);
    for (int b = own.rows.begin; b < own.rows.end; b++)
        for (int i = 0, n; i < range.size(); i += n) {
            n = P::tile_rows(range.size() - i);
            for (int copy = 0; copy < call.x_scale_gates; copy++)
                for (int r = 0; r < n; r++)
                    P::x_operand(own.x + (copy * P::height + r) * x_row, own.row, b, range.begin + i + r,
                                 copy);
            for (int gate = 0; gate < G; gate++) {
                const Part<Real> x = {own.x + P::x_copy(gate) * P::height * x_row, x_row, P::length(I)};
                Real* xg = own.xg + ((ptrdiff_t(b - own.rows.begin) * ahead + i) * G + gate) * padded;
                for (int j = own.blocks.begin; j < own.blocks.end; j += TALL_COLS) {
                    const int width = std::min(H, own.blocks.end * L) - j * L;
                    const auto tile = tiles.tile_of(n, std::min(TALL_COLS * L, width));
                    const Real* w = W + (ptrdiff_t(gate) * blocks + j) * w_block;
                    const Rows<const Real> init = {bias + gate * padded + j * L, 0};
                    tile(&x, 1, w, w_block, init, {xg + j * L, ptrdiff_t(G) * padded}, nullptr);
                }
            }
        }
}

// What the products of a gate take, in the rows from b on.
template <class Real>
void Forward<Real>::left_sides(const ThreadScratch& own, const ForwardStep<Real>& at, int step, int phase,
                               int gate, int b, Part<Real>* parts) const {
    const int half = b >= B, rows = own.rows.size(), r = b - half * B - own.rows.begin;
    const ptrdiff_t x_copy = half * call.x_scale_gates + P::x_copy(gate);
    const ptrdiff_t h_copy = half * call.h_scale_gates + P::h_copy(gate);
    parts[0] = {own.x + (x_copy * rows + r) * P::row(I), P::row(I), P::length(I)};
    if (!P::rounded && P::x_as_it_is() && (!half || call.tx)) parts[0] = {P::x(b, step), P::x_row(b), I};
    const Real* h = own.h + (h_copy * rows + r) * P::row(H);
    if (call.h_scale || P::rounded) parts[1] = {h, P::row(H), P::length(H)};
    else if (phase) parts[1] = {operands[phase] + ptrdiff_t(b) * padded, padded, H};
    else parts[1] = {at.s_prev[0] + b * at.state_row, at.state_row, H};
}
