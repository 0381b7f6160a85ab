// One call from Python: a plain struct of 8-byte fields, field by field LAYOUT in
// ../../rnn_from_scratch/backends/native/call.py.
//
// Arrays are contiguous unless a stride is given (in elements); a null pointer is an argument that was not
// given, or a result that nobody asked for.
#pragma once
#include <cstdint>

#include "limits.h"

struct Call {
    const void* form;  // a Cell, as rnn_form_float32 or rnn_form_float64 gave it
    int64_t B, T, I, H, threads;
    int64_t go_backwards, zero_masked_outputs;
    int64_t x_scale_gates, h_scale_gates;  // 1: one scale for all gates, else one for each gate
    // K: `states` are [B, ceil(T / K), H], those before steps 0, K, 2K, ...; 0: all of them
    int64_t recompute_every;
    int64_t precision;  // of the products: Precision in bfloat16.h

    const void* x;  // [B, T, I]
    int64_t x_stride[3];
    const void *Wx, *Wh;  // [I, G*H], [H, G*H]
    int64_t Wx_stride[2], Wh_stride[2];
    const void *bx, *bh, *p;        // [G*H], [G*H], [E, H]; bx is b if the cell has one bias
    const void* live;               // [B, T] bytes
    const void *x_scale, *h_scale;  // [gates, B, I], [gates, B, H]

    // the tape, [B, T+1, H] and [B, T, A, H]: written by forward unless null, read by backward. saved is null
    // if it is to be recomputed, and states are then as said above
    void *states[MAX_STATES], *saved;

    const void* initial[MAX_STATES];  // forward: [B, H]
    void *y, *final[MAX_STATES];      // [B, T, H], [B, H]
    int64_t y_stride[2];              // that of the units is 1

    const void* dy;                  // backward: [B, T, H]
    int64_t dy_stride[2];            // that of the units is 1
    const void* dfinal[MAX_STATES];  // [B, H]
    void *dx, *dWx, *dWh, *dbx, *dbh, *dp, *dinitial[MAX_STATES];
    int64_t dx_stride[2];  // that of the inputs is 1
    int64_t dWx_stride[2], dWh_stride[2];

    // 1: numbers carry tangents (dual.h). In states, saved, y, initial and final the tangents of all rows
    // then come behind the rows of numbers, [2B, ...]. Backward is given the upstream gradients of first
    // order, and makes the tangents of the gradients
    int64_t dual;
    const void* tx;                          // [B, T, I], the tangent of x; null is 0, here and below
    const void *tWx, *tWh, *tbx, *tbh, *tp;  // those of the parameters
};
