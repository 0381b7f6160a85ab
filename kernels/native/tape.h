// Where the states and the saved values of each step are.
//
// On the caller's tape every step has its place, in the time order of x. Kept in scratch memory are either two states in turn,
// where nobody asks for the tape, or the steps of one segment: those between two multiples of `every`.
#pragma once
#include "call.h"
#include "cell.h"
#include "pool.h"

template <class T> struct Tape {
    T *states[2] = {}, *saved = nullptr;
    ptrdiff_t state_row, saved_row, step_size;  // from one row of the batch to the next; values saved of one step
    int H, steps, every = 0;                    // every = 0: the caller's tape
    bool go_backwards;

    Tape(const Call& call, const Cell<T>& cell)
        : state_row((call.T + 1) * call.H), saved_row(call.T * cell.saved * call.H), step_size(cell.saved * call.H),
          H(int(call.H)), steps(int(call.T)), go_backwards(call.go_backwards) {
        for (int s = 0; s < cell.states; s++) states[s] = static_cast<T*>(call.states[s]);
        saved = static_cast<T*>(call.saved);
    }

    // A tape of `every` steps; of one, the state before and the state after change places at each step.
    Tape(const Call& call, const Cell<T>& cell, Scratch& scratch, int every) : Tape(call, cell) {
        this->every = every;
        state_row = ptrdiff_t(every + 1) * H;
        saved_row = every * step_size;
        for (int s = 0; s < cell.states; s++) states[s] = scratch.take<T>(call.B * state_row);
        saved = scratch.take<T>(call.B * saved_row);
    }

    T* before(int s, int step) const { return states[s] + ptrdiff_t(slot(step, 0)) * H; }
    T* after(int s, int step) const { return states[s] + ptrdiff_t(slot(step, 1)) * H; }
    T* saved_at(int step) const {
        return saved + (every ? step % every : go_backwards ? steps - 1 - step : step) * step_size;
    }

  private:
    int slot(int step, int after) const {
        if (every == 1) return (step + after) % 2;
        if (every) return step % every + after;
        return go_backwards ? steps - step - after : step + after;
    }
};
