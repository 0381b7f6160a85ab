// The native CPU backend's entry points: a plain C interface for ctypes. Read native/forward.h and
// native/backward.h next.
//
// Those that return int return 0, or 1 if memory ran out, or 2 if a thread could not be started.
#include <new>
#include <system_error>

#include "native/backward.h"
#include "native/forward.h"
#include "native/registry.h"
#include "native/stepper.h"

template <class Work> static int guarded(Work work) {
    try {
        work();
        return 0;
    } catch (const std::bad_alloc&) {
        return 1;
    } catch (const std::system_error&) {
        return 2;
    }
}

#define EXPORT extern "C" __attribute__((visibility("default")))

template <class Run> static int run(const Call* call) {
    return guarded([call] { Run(*call).run(); });
}
EXPORT int rnn_forward_float32(const Call* call) { return run<Forward<float>>(call); }
EXPORT int rnn_forward_float64(const Call* call) { return run<Forward<double>>(call); }
EXPORT int rnn_backward_float32(const Call* call) { return run<Backward<float>>(call); }
EXPORT int rnn_backward_float64(const Call* call) { return run<Backward<double>>(call); }

// A stepper for a call with T = 1; its arrays are read and written at each step, but for Wx, Wh and the
// biases.
template <class Real> static int make(const Call* call, void** made) {
    return guarded([=] { *made = new Stepper<Real>(*call); });
}
template <class Real> static int step(void* stepper) {
    return guarded([stepper] { static_cast<Stepper<Real>*>(stepper)->run(); });
}
EXPORT int rnn_stepper_float32(const Call* call, void** made) { return make<float>(call, made); }
EXPORT int rnn_stepper_float64(const Call* call, void** made) { return make<double>(call, made); }
EXPORT int rnn_step_float32(void* stepper) { return step<float>(stepper); }
EXPORT int rnn_step_float64(void* stepper) { return step<double>(stepper); }
EXPORT void rnn_free_float32(void* stepper) { delete static_cast<Stepper<float>*>(stepper); }
EXPORT void rnn_free_float64(void* stepper) { delete static_cast<Stepper<double>*>(stepper); }

// The form of this name, such as LSTM<Tanh, Sigmoid>: what Call begins with. Null if this library does not
// have it.
template <class Real> static const void* find_form(const char* name) {
    const auto found = registry<Real>().find(name);
    return found == registry<Real>().end() ? nullptr : &found->second;
}
EXPORT const void* rnn_form_float32(const char* name) { return find_form<float>(name); }
EXPORT const void* rnn_form_float64(const char* name) { return find_form<double>(name); }

// The names of all forms, one a line.
EXPORT const char* rnn_forms() {
    static const std::string names = [] {
        std::string all;
        for (const auto& form : registry<float>()) all += form.first + "\n";
        return all;
    }();
    return names.c_str();
}

// How the recurrence of a call is divided among threads: parts of the rows, and of the units.
template <class Real> static void parts(const Call* call, int64_t* rows, int64_t* units) {
    const Plan<Real> plan(*call);
    *units = plan.unit_parts;
    *rows = plan.threads / plan.unit_parts;
}
EXPORT void rnn_parts_float32(const Call* call, int64_t* rows, int64_t* units) {
    parts<float>(call, rows, units);
}
EXPORT void rnn_parts_float64(const Call* call, int64_t* rows, int64_t* units) {
    parts<double>(call, rows, units);
}

// Bytes of a core's own second-level cache and of the third-level cache, as the system tells them.
EXPORT void rnn_caches(int64_t* near, int64_t* far) {
    *near = int64_t(cost::Caches::here().near), *far = int64_t(cost::Caches::here().far);
}

// How this build and this machine multiply words of two bfloat16, at best: a Precision of native/bfloat16.h.
EXPORT int rnn_best_precision() { return best_precision(); }

// The bytes of a Call as this library knows it.
EXPORT int64_t rnn_call_size() { return sizeof(Call); }

// The widest instruction set of this machine that there is a build for: 2 is x86-64-v4, 1 is x86-64-v3, 0 is
// any.
EXPORT int rnn_isa() {
#if defined(__x86_64__)
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi2");
    const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return v3 ? v4 ? 2 : 1 : 0;
#else
    return 0;
#endif
}
