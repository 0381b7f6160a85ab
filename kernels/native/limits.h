// The most that a cell may have: what arrays here have room for. ../cells/simple_rnn.h tells of it.
#pragma once

constexpr int MAX_GATES = 6, MAX_STATES = 4, MAX_SAVED = 6, MAX_EXTRAS = 4, MAX_PHASES = 3;

template <class C> struct WithinLimits {
    static_assert(C::GATES >= 1 && C::GATES <= MAX_GATES,
                  "a cell has 1 to 6 gates: see kernels/cells/simple_rnn.h");
    static_assert(C::STATES >= 1 && C::STATES <= MAX_STATES,
                  "a cell has 1 to 4 states: see kernels/cells/simple_rnn.h");
    static_assert(C::SAVED >= 0 && C::SAVED <= MAX_SAVED,
                  "a cell saves at most 6 values: see kernels/cells/simple_rnn.h");
    static_assert(C::EXTRAS >= 0 && C::EXTRAS <= MAX_EXTRAS,
                  "a cell has at most 4 extras: see kernels/cells/simple_rnn.h");
    static_assert(C::PHASES >= 1 && C::PHASES <= MAX_PHASES,
                  "a cell has 1 to 3 phases: see kernels/cells/simple_rnn.h");
    static_assert(C::PHASES == 1 || C::SAVED == C::GATES,
                  "with several phases saved[a] is gate a: see kernels/cells/simple_rnn.h");
    static_assert(C::PHASES == 1 || C::SHARED,
                  "the two sides differ in cells of one phase only: see kernels/cells/simple_rnn.h");
};
