// Where the states and the saved values of each step are.
//
// On the caller's tape every step has its place, in the time order of x. Else they are in scratch memory: of
// the steps of one segment, those between two multiples of `segment`, in processing order. A segment of one
// step serves where nobody asks for a tape: the states before and after it change places at every step.
#pragma once
#include "call.h"
#include "cell.h"
#include "pool.h"

template <class Real> struct Tape {
    Real *states[MAX_STATES] = {}, *saved = nullptr;        // saved: null if nothing is kept
    // from one row of the batch to the next; values saved of one step
    ptrdiff_t state_row, saved_row, step_size;
    int H, steps, segment = 0;                  // segment = 0: the caller's tape
    bool go_backwards;

    Tape(const Call& call, const Cell<Real>& cell)
        : state_row((call.T + 1) * call.H), saved_row(call.T * cell.saved * call.H),
          step_size(cell.saved * call.H),
          H(int(call.H)), steps(int(call.T)), go_backwards(call.go_backwards) {
        for (int s = 0; s < cell.states; s++) states[s] = static_cast<Real*>(call.states[s]);
        saved = static_cast<Real*>(call.saved);
    }

    Tape(const Call& call, const Cell<Real>& cell, Scratch& scratch, int segment, bool save, int rows)
        : Tape(call, cell) {
        this->segment = segment;
        state_row = ptrdiff_t(segment + 1) * H;
        saved_row = segment * step_size;
        for (int s = 0; s < cell.states; s++) states[s] = scratch.take<Real>(rows * state_row);
        saved = save ? scratch.take<Real>(rows * saved_row) : nullptr;
    }

    // Row b is at + b * state_row, + b * saved_row.
    Real* before(int s, int step) const { return states[s] + ptrdiff_t(slot(step, 0)) * H; }
    Real* after(int s, int step) const { return states[s] + ptrdiff_t(slot(step, 1)) * H; }
    Real* saved_at(int step) const {
        const int place = segment ? step % segment : go_backwards ? steps - 1 - step : step;
        return saved ? saved + place * step_size : nullptr;
    }

  private:
    int slot(int step, int after) const {
        if (segment == 1) return (step + after) % 2;
        if (segment) return step % segment + after;
        return go_backwards ? steps - step - after : step + after;
    }
};
