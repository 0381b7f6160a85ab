// Backward, last step first, in chunks of steps. For each chunk
//
//     each thread runs some rows (and units):     D_t = cell(dh, dc);  dh += D_t Wh^T
//     then they share out among themselves:       dx = D Wx^T,  dWx += x^T D,  dWh += h_prev^T D,  db += sum of D
//
// so D, the gate gradients, never leaves the cache, and no sum depends on the number of threads: see weight_gradients.h.
#pragma once
#include "forward.h"
#include "input_gradient.h"
#include "weight_gradients.h"

template <class T> class Backward : Plan<T> {
    using P = Plan<T>;
    using P::B, P::I, P::H, P::G, P::blocks, P::padded, P::cell, P::call, P::scratch, P::steps, P::row_parts, P::unit_parts;
    static constexpr int L = LANES<T>, WIDTH = COLS * L;

    struct Own {  // what one thread works on, and its scratch
        Range rows, blocks;
        T* z;
    };
    T *W, *zeros, *ds[2] = {}, *part = nullptr, *d_operand = nullptr;
    int *first_live = nullptr, chunk;
    const Gradients<T> D;  // of a chunk: row (step - first step) * B + b
    std::vector<T*> z;  // of each thread: [ROWS][WIDTH]
    std::vector<Stage> stages;
    std::vector<std::unique_ptr<Barrier>> groups;
    std::vector<std::atomic<int>> reached;  // the step after which each part is
    std::unique_ptr<Forward<T>> again;  // if the tape is to be recomputed
    const Tape<T> tape;
    InputGradient<T> input;
    WeightGradients<T> weights;
    const Tiles<T> tiles;

  public:
    explicit Backward(const Call& call)
        : P(call), chunk(chunk_steps()), D(gradients()), stages(count_stages()), reached(P::parts()),
          again(call.recompute_every ? new Forward<T>(call, int(call.recompute_every), true) : nullptr),
          tape(again ? again->tape : Tape<T>(call, cell)), input(*this), weights(*this, tape, chunk) {
        P::cut_time(chunk, 4);
        W = take(ptrdiff_t(blocks) * G * H * L);
        zeros = take(WIDTH);
        std::fill(zeros, zeros + WIDTH, T(0));
        for (int s = 0; s < cell.states; s++) ds[s] = take(ptrdiff_t(B) * padded);
        if (cell.phases > 1) part = take(ptrdiff_t(B) * padded), d_operand = take(ptrdiff_t(B) * padded);
        if (call.live && !call.zero_masked_outputs) first_live = scratch.template take<int>(B);
        for (int i = 0; i < row_parts; i++) groups.emplace_back(new Barrier(unit_parts));
        for (int id = 0; id < P::threads; id++) z.push_back(take(ROWS * WIDTH)), std::fill(z[id], z[id] + ROWS * WIDTH, T(0));
        for (auto& step : reached) step = steps;
    }

    void run() {
        run_on_threads(P::threads, [this](int id) {
            Stage* stage = stages.data();  // each thread goes through all of them
            stage++->run(packs(), [&](int i) { pack(i); });
            for (int end = steps; end > 0; end -= chunk) {
                const Range now = {std::max(0, end - chunk), end};
                weights.list_rows(id, now);
                for (Range piece = now; piece.end > now.begin; piece.end = piece.begin) {
                    if (again) piece.begin = std::max(now.begin, recompute(id, stage, piece.end));
                    stage++->run(P::pieces(piece.size()), [&](int i) { some_steps(id, i, piece, now.begin); });
                    if (again) stage++->run(P::threads, [&](int i) { weights.keep(id, i, now, piece); });
                }
                if (weights.drops_masked()) {
                    stage++->run(input.pieces(), [&](int i) { input.run(id, i, now, D); });
                    stage++->run(P::threads, [&](int i) { weights.drop_masked(id, i, D); });
                    stage++->run(weights.pieces(), [&](int i) { weights.run(id, i, now, D); });
                } else {  // the smaller pieces last
                    const int count = weights.pieces();
                    stage++->run(count + input.pieces(), [&](int i) {
                        if (i < count) weights.run(id, i, now, D);
                        else input.run(id, i - count, now, D);
                    });
                }
            }
        });
    }

  private:
    T* take(ptrdiff_t count) { return scratch.template take<T>(count); }

    // At most 2 MiB of D (or one step), so that it stays in the cache; chunks of nearly equal size.
    int chunk_steps() const {
        const double step_bytes = double(B) * (cell.columns() + cell.extras) * padded * sizeof(T);
        const int most = int(std::max(1.0, std::min<double>(steps, (2 << 20) / std::max(1.0, step_bytes))));
        return ceil_div(steps, ceil_div(steps, most));
    }

    Gradients<T> gradients() {
        const ptrdiff_t rows = ptrdiff_t(chunk) * B, panels = (cell.columns() + cell.extras) * Gradients<T>::panels(H);
        return {take(panels * Gradients<T>::panel_size(rows)), rows, H};
    }

    // At most: one for the weights, three for each chunk, three for each piece of a chunk.
    int count_stages() const {
        const int chunks = ceil_div(steps, chunk);
        return 1 + 3 * chunks + 3 * (chunks + (call.recompute_every ? ceil_div(steps, int(call.recompute_every)) : 0));
    }

    // W[block][k: the units of gate 0, of gate 1, ...][lane]: Wh transposed; and what the others pack.
    int packs() const { return blocks + input.packs() + (again ? again->packs() : 0); }
    void pack(int i) {
        if (i < blocks)
            pack_block(W + ptrdiff_t(i) * G * H * L, static_cast<const T*>(call.Wh), 1, ptrdiff_t(G) * H, G * H, H, i);
        else if (i < blocks + input.packs()) input.pack(i - blocks);
        else again->pack(i - blocks - input.packs());
    }

    // Piece i of the steps of `range`: some of them, the last ones first, for one part.
    void some_steps(int id, int i, Range range, int chunk_begin) {
        const int part = i % P::parts(), end = range.end - i / P::parts() * P::segment;
        const int begin = std::max(range.begin, end - P::segment);
        const Own own = {P::rows(part), P::own_blocks(part), z[id]};
        for (Patience patience; reached[part].load(std::memory_order_acquire) > end;) patience.wait();
        if (end == steps) {
            start(own);
            if (unit_parts > 1) groups[part / unit_parts]->arrive();
        }
        for (int step = end - 1; step >= begin; step--)
            one_step(own, *groups[part / unit_parts], step, ptrdiff_t(step - chunk_begin) * B);
        if (begin == 0) finish(own);
        reached[part].store(begin, std::memory_order_release);
    }

    void start(const Own& own) {
        const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
        for (int b = own.rows.begin; b < own.rows.end; b++) {
            for (int s = 0; s < cell.states; s++) {
                T* d = ds[s] + ptrdiff_t(b) * padded;
                std::fill(d + u0, d + ceil_div(own.blocks.end, 2) * 2 * L, T(0));
                const T* given = static_cast<const T*>(call.dfinal[s]);
                if (given) std::copy(given + ptrdiff_t(b) * H + u0, given + ptrdiff_t(b) * H + u1, d + u0);
            }
            if (first_live && !own.blocks.begin) {
                int step = 0;
                while (step < steps && !P::live(step)[ptrdiff_t(b) * steps]) step++;
                first_live[b] = step;
            }
        }
    }

    void finish(const Own& own) {
        const int u0 = own.blocks.begin * L, u1 = std::min(H, own.blocks.end * L);
        for (int s = 0; s < cell.states; s++)
            for (ptrdiff_t b = own.rows.begin; b < own.rows.end && call.dinitial[s]; b++)
                std::copy(ds[s] + b * padded + u0, ds[s] + b * padded + u1, static_cast<T*>(call.dinitial[s]) + b * H + u0);
    }

    // Make the tape before step `end` good again, if it is that of the segment behind. Returns where it begins.
    int recompute(int id, Stage*& stage, int end) {
        const int every = int(call.recompute_every), k = (end - 1) / every;
        if (end == steps || end % every == 0) stage++->run(P::parts(), [&](int part) { again->recompute(id, part, k); });
        return k * every;
    }

    void one_step(const Own& own, Barrier& group, int step, ptrdiff_t D_row) {
        const BackwardStep<T> at = step_at(step, D_row);
        for (int phase = cell.phases - 1; phase >= 0; phase--) {
            cell.backward[phase](at, own.rows.begin, own.rows.end, own.blocks.begin * L, own.blocks.end * L);
            if (unit_parts > 1) group.arrive();
            for (int j = own.blocks.begin; j < own.blocks.end; j += P::cols)
                for (int b = own.rows.begin, n; b < own.rows.end; b += n) {
                    n = tile_rows(own.rows.end - b);
                    if (!phase && step && j == own.blocks.begin) ask_for_rows(own, step - 1, b, n);
                    one_tile(own, phase, D_row + b, b, n, j, std::min(P::cols, own.blocks.end - j));
                }
        }
    }

    // What the cell will read in the next step, asked for while the products run.
    void ask_for_rows(const Own& own, int step, ptrdiff_t b, int n) const {
        const int u = own.blocks.begin * L, count = std::min(H, own.blocks.end * L) - u;
        for (ptrdiff_t row = b; row < b + n; row++) {
            for (int s = 0; s < cell.states; s++) ask_for(tape.before(s, step) + row * tape.state_row + u, count);
            for (int a = 0; a < cell.saved; a++) ask_for(tape.saved_at(step) + row * tape.saved_row + a * H + u, count);
            if (call.dy) ask_for(static_cast<const T*>(call.dy) + step * call.dy_stride[1] + row * call.dy_stride[0] + u, count);
        }
    }

    // hg = operand Wh, so the operand's gradient is D Wh^T: added to that of h_prev in phase 0, else that of the operand.
    void one_tile(const Own& own, int phase, ptrdiff_t D_row, int b, int n, int j, int cols) {
        const int width = std::min(cols * L, H - j * L);
        const auto tile = tiles.tile_of(n, width);
        const int count = cell.count[phase];
        const T* w = W + (ptrdiff_t(j) * G + cell.first[phase]) * H * L;
        const ptrdiff_t w_block = ptrdiff_t(G) * H * L;
        T* to = (phase ? d_operand : ds[0]) + ptrdiff_t(b) * padded + j * L;
        Part<T> parts[4];
        for (int i = 0; i < count; i++)
            parts[i] = P::left_side(D, cell.recurrent_column(cell.first[phase] + i), D_row);
        const T* next = P::next_weights(w, w_block, j, cols, own.blocks, (b - own.rows.begin) / ROWS, count * H);
        if (!call.h_scale) {
            const Rows<const T> init = phase ? Rows<const T>{zeros, 0} : Rows<const T>{to, padded};
            return tile(parts, count, w, w_block, init, {to, padded}, next);
        }
        for (int r = 0; r < n && phase; r++) std::fill(to + r * padded, to + r * padded + cols * L, T(0));
        const int groups = call.h_scale_gates > 1 ? count : 1, gates = count / groups;  // gates with one scale share a product
        for (int i = 0; i < groups; i++) {
            tile(parts + i, gates, w + i * H * L, w_block, {zeros, 0}, {own.z, WIDTH}, groups == 1 ? next : nullptr);
            for (int r = 0; r < n; r++) {
                const T* scale = P::h_scale(P::h_copy(cell.first[phase] + i), b + r) + j * L;
                add_scaled(to + r * padded, own.z + r * WIDTH, scale, width);
            }
        }
    }

    BackwardStep<T> step_at(int step, ptrdiff_t D_row) const {
        BackwardStep<T> at{};
        at.H = H;
        at.D = &D;
        at.D_row = D_row;
        at.step = step;
        for (int s = 0; s < cell.states; s++) {
            at.s_prev[s] = tape.before(s, step);
            at.s[s] = tape.after(s, step);
            at.ds[s] = ds[s];
        }
        at.state_row = tape.state_row;
        at.saved = tape.saved_at(step);
        at.saved_row = tape.saved_row;
        at.dy = call.dy ? static_cast<const T*>(call.dy) + step * call.dy_stride[1] : nullptr;
        at.dy_row = call.dy_stride[0];
        at.live = P::live(step);
        at.live_row = steps;
        at.first_live = first_live;
        at.p = static_cast<const T*>(call.p);
        at.part = part;
        at.operand = d_operand;
        at.ds_row = padded;
        return at;
    }
};
