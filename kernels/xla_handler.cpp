// The kernels as a custom call of XLA, so that a training step of JAX does not pass through Python.
//
// The library is built without XLA. What XLA hands over are plain structs; below is of them what is read
// here, the whole is in jaxlib's xla/ffi/api/c_api.h. Each begins with its size, and newer versions add at
// its end. ../rnn_from_scratch/layers/jax_op.py tells JAX of rnn_xla_call, and writes down for each call
//
//   form   the cell's form, by its name
//   plan   forward or backward (0, 1), a Call without its arrays, and where its arrays are: for each the
//          buffer (arguments, then results), the field of Call, and elements from the buffer's beginning
//
// An address in a plan would be wrong in the next process, which may take the compiled program from a cache.
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstring>
#include <string>

#include "native/call.h"

extern "C" int rnn_forward_float32(const Call*), rnn_forward_float64(const Call*);
extern "C" int rnn_backward_float32(const Call*), rnn_backward_float64(const Call*);
extern "C" const void *rnn_form_float32(const char*), *rnn_form_float64(const char*);

namespace {

enum { METADATA = 1 };                                              // XLA_FFI_Extension_Type
enum { FLOAT = 11, DOUBLE = 12 };                                   // XLA_FFI_DataType
enum { INVALID_ARGUMENT = 3, RESOURCE_EXHAUSTED = 8, INTERNAL = 13 };  // XLA_FFI_Error_Code

struct Extension {
    size_t size;
    int type;
    Extension* next;
};
struct Head {
    size_t size;
    Extension* extensions;
};
struct Version : Head {
    int major, minor;
};
struct Failure : Head {
    const char* message;
    int code;
};
struct Api : Head {
    Version version;
    const void* internal;
    void* (*create_error)(Failure*);
};
struct Buffer : Head {
    int type;
    void* data;
    int64_t rank;
    int64_t* dims;
};
struct Buffers : Head {
    int64_t count;
    int* kinds;
    Buffer** buffers;
};
struct Text {
    const char* data;
    size_t size;
};
struct Array {
    int type;
    size_t size;
    const int64_t* data;
};
struct Attributes : Head {
    int64_t count;
    int* kinds;
    Text** names;
    void** values;
};
struct Frame : Head {
    const Api* api;
    void* context;
    int stage;
    Buffers arguments, results;
    Attributes attributes;
};
struct Metadata {
    size_t size;
    Version version;
};
struct MetadataExtension : Extension {
    Metadata* metadata;
};

const int64_t* chosen_threads;  // 0: the default
int64_t default_threads;

void* failed(const Frame& frame, int code, const char* message) {
    Failure failure = {};
    failure.size = sizeof(failure);
    failure.message = message, failure.code = code;
    return frame.api->create_error(&failure);
}

template <class Value> const Value* attribute(const Attributes& all, const std::string& name) {
    for (int64_t i = 0; i < all.count; i++)
        if (name.compare(0, name.size(), all.names[i]->data, all.names[i]->size) == 0)
            return static_cast<const Value*>(all.values[i]);
    return nullptr;
}

// XLA takes fresh memory for every run of a program. Large results are to lie in huge pages: with a fault for
// each 4 KiB, a tenth of a training step went there. The pages at both ends are shared with a neighbour.
void wish_for_huge_pages([[maybe_unused]] const Buffer& buffer, [[maybe_unused]] size_t size) {
#if defined(MADV_HUGEPAGE)
    constexpr uintptr_t LARGE = 1 << 20, PAGE = 2 << 20;
    for (int64_t axis = 0; axis < buffer.rank; axis++) size *= buffer.dims[axis];
    const uintptr_t begin = uintptr_t(buffer.data) / PAGE * PAGE;
    const uintptr_t end = (uintptr_t(buffer.data) + size + PAGE - 1) / PAGE * PAGE;
    if (size >= LARGE) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

// Fills a Call in and makes it.
void* execute(const Frame& frame) {
    const Text* form = attribute<Text>(frame.attributes, "form");
    const Array* plan = attribute<Array>(frame.attributes, "plan");
    if (!form || !plan || frame.arguments.count < 1)
        return failed(frame, INVALID_ARGUMENT, "rnn_xla_call: expected the attributes form and plan");
    const bool single = frame.arguments.buffers[0]->type == FLOAT, backward = plan->data[0];
    const size_t size = single ? sizeof(float) : sizeof(double);
    Call call;
    std::memcpy(&call, plan->data + 1, sizeof(Call));
    if (call.T < 1)
        return failed(frame, INVALID_ARGUMENT, "x: expected [B, T, I] with T of at least 1, got T = 0");
    const std::string name(form->data, form->size);
    call.form = single ? rnn_form_float32(name.c_str()) : rnn_form_float64(name.c_str());
    call.threads = *chosen_threads ? *chosen_threads : default_threads;
    const int64_t* const end = plan->data + plan->size;
    for (const int64_t* at = plan->data + 1 + sizeof(Call) / sizeof(int64_t); at < end; at += 3) {
        const int64_t result = at[0] - frame.arguments.count;
        const Buffer& buffer = *(result < 0 ? frame.arguments.buffers[at[0]] : frame.results.buffers[result]);
        static double nothing;  // null would say that the array is not given; here it has no numbers
        char* data = reinterpret_cast<char*>(&nothing);
        if (buffer.data) data = static_cast<char*>(buffer.data) + at[2] * size;
        std::memcpy(reinterpret_cast<char*>(&call) + at[1] * sizeof(int64_t), &data, sizeof(data));
    }
    for (int64_t i = 0; i < frame.results.count; i++) wish_for_huge_pages(*frame.results.buffers[i], size);
    const auto run = single ? backward ? rnn_backward_float32 : rnn_forward_float32
                            : backward ? rnn_backward_float64 : rnn_forward_float64;
    const int code = run(&call);
    if (code == 1) return failed(frame, RESOURCE_EXHAUSTED, "not enough memory for the native backend");
    if (code == 2)
        return failed(frame, INTERNAL, "the native backend could not start a thread; set RNN_NUM_THREADS=1");
    return nullptr;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// What XLA calls: to run a call, and before that to ask which version of its interface this was made for.
// That is any of the major version 0, with structs at least as long as those above.
EXPORT void* rnn_xla_call(const Frame* frame) {
    for (Extension* extension = frame->extensions; extension; extension = extension->next) {
        if (extension->type != METADATA) continue;
        if (frame->api->version.major != 0)
            return failed(*frame, INVALID_ARGUMENT, "rnn_xla_call: expected version 0 of XLA's FFI");
        Version& version = static_cast<MetadataExtension*>(extension)->metadata->version;
        version.major = frame->api->version.major, version.minor = frame->api->version.minor;
        return nullptr;
    }
    if (frame->size < sizeof(Frame))
        return failed(*frame, INVALID_ARGUMENT, "rnn_xla_call: expected a newer version of XLA's FFI");
    return execute(*frame);
}

// To be called before the first call: `chosen` is read at every call.
EXPORT void rnn_xla_threads(const int64_t* chosen, int64_t by_default) {
    chosen_threads = chosen, default_threads = by_default;
}

// The digest of this file, as ../rnn_from_scratch/backends/native/sources.py computes it.
EXPORT const char* rnn_xla_digest() { return DIGEST; }
