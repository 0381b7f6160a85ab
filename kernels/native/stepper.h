// A sequence that comes step by step. The weights are packed once, and scratch memory is taken once; what is
// left to do is one step of forward.h, from the states in call.initial to those in call.final, which may be
// the same arrays. One thread at a time may run a stepper; several steppers may run at once.
#pragma once
#include "forward.h"

// Once more from the first step to the last, which are one, with the weights as they are packed.
template <class Real> void Forward<Real>::run_packed() {
    Stage stage;
    run_on_threads(P::threads, [&](int id) {
        stage.run(P::parts(), [&](int part) {
            sequence(own(id, part), *groups[part / unit_parts], {0, steps});
        });
    });
}

template <class Real> class Stepper {
    const Call call;  // first: `forward` refers to it
    Forward<Real> forward;

  public:
    explicit Stepper(const Call& call) : call(call), forward(this->call) {
        for (int i = 0; i < forward.packs(); i++) forward.pack(i);
    }
    void run() { forward.run_packed(); }
};
