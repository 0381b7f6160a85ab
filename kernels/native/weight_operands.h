// The two sides of WeightGradients' products, packed: x, h_prev, or the operand of a later phase; and gate
// gradients in words. Included by weight_gradients.h, which has the names.
#pragma once

// Columns k of the rows from n0 on: ROWS of them into each tile, then the 1 of the bias (0 in a tangent).
template <class Real>
void WeightGradients<Real>::pack(const Product& p, const ThreadScratch& own, Range k, int n0,
                                 int rows) const {
    for (int n = 0; n < rows; n++) {
        if (n + AHEAD < rows) prefetch_row(p, own.rows[n0 + n + AHEAD], k);
        const Live live = own.rows[n0 + n];
        const Real* row = left_side(p, own.row, live, {k.begin, std::min(k.end, p.k)});
        Real* to = own.A + n * ROWS;
        int i = k.begin;
        for (; i + ROWS <= std::min(k.end, p.k); i += ROWS, to += TILE)
            std::memcpy(to, row + i, ROWS * sizeof(Real));
        for (int r = 0; i + r < k.end; r++) to[r] = i + r < p.k ? row[i + r] : live.b < B;
    }
}

// The same in words: two rows of the batch in each, and so [k][word], filled up with zeros.
template <class Real>
void WeightGradients<Real>::pack_pairs(const Product& p, const ThreadScratch& own, Range k, int n0,
                                       int rows) const {
    Real* second = own.row + std::max(plan.I, H) + 2 * L;
    for (int n = 0; n < 2 * words(rows); n += 2 * STEP) {
        for (int i = 0; i < STEP; i++) {
            const int at = n + 2 * i;
            const auto row = [&](int n, Real* own_row) -> const Real* {
                if (n >= rows) return nullptr;
                if (n + AHEAD < rows) prefetch_row(p, own.rows[n0 + n + AHEAD], k);
                return left_side(p, own_row, own.rows[n0 + n], k) + k.begin;
            };
            const Real *a = row(at, own.row), *b = row(at + 1, second);
            plan.round_pair(own.words + i * own.words_row, a, b, k.size());
        }
        for (int i = 0; i < k.size(); i += STEP)
            plan.transpose(own.A + i * PAIRS + n / 2, PAIRS, own.words + i, own.words_row,
                           std::min(STEP, k.size() - i));
    }
}

template <class Real>
void WeightGradients<Real>::prefetch_row(const Product& p, Live row, Range k) const {
    if (p.source == Product::X) prefetch(plan.x(row.b, row.step) + k.begin * call.x_stride[2], k.size());
    else if (p.source != Product::NOTHING && !kept[0])
        prefetch(tape.before(0, row.step) + row.b * tape.state_row + k.begin, k.size());
}

// Columns k of one contiguous row of the left side: of x, h_prev or the later phase's operand, times its
// scale.
template <class Real>
const Real* WeightGradients<Real>::left_side(const Product& p, Real* own_row, Live row, Range k) const {
    if (p.source == Product::NOTHING) return own_row;
    if (p.source == Product::X) {
        if (plan.x_as_it_is()) return plan.x(row.b, row.step);
        plan.copy_x(own_row, row.b, row.step, p.copy, k);
        return own_row;
    }
    const Real* from = kept[p.phase] ? kept[p.phase] + ptrdiff_t(row.place) * H
                                     : state_side(p.phase, own_row, row, k);
    if (!call.h_scale) return from;
    scaled(own_row + k.begin, from + k.begin, plan.h_scale(p.copy, row.b) + k.begin, k.size());
    return own_row;
}

// h_prev (phase 0), or the operand of a later phase.
template <class Real>
const Real* WeightGradients<Real>::state_side(int phase, Real* own_row, Live row, Range k) const {
    OperandRow<Real> at{B, H, tape.saved_at(row.step), {}, tape.saved_row, tape.state_row};
    for (int s = 0; s < cell.states; s++) at.s_prev[s] = tape.before(s, row.step);
    if (!phase) return at.s_prev[0] + row.b * tape.state_row;
    cell.operand[phase](at, row.b, own_row, k.begin, k.end);
    return own_row;
}

template <class Real>
void WeightGradients<Real>::pair_rows(int id, int i, const Gradients<Real>& dgates) const {
    const ThreadScratch& own = thread_scratch[id];
    const Range all = share(cell.columns() * plan.blocks, i, pairings());
    for (int at = all.begin; at < all.end; at++) {
        const int column = at / plan.blocks, block = at % plan.blocks;
        const auto row = [&](int n) {
            return n < own.count ? dgates.at(column, own.rows[n].place, block * L) : nullptr;
        };
        Real* to = dgates.pairs_at(column, block);
        for (int n = 0; n < own.count; n += 2, to += L) plan.round_pair(to, row(n), row(n + 1), L);
        std::fill(to, dgates.pairs_at(column, block) + words(own.count) * L, Real(0));
    }
}
