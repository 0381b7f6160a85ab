// The kernels as a TensorFlow op, so that a training step does not pass through Python.
//
// The library is built without TensorFlow: what it calls there is TensorFlow's C interface
// (tensorflow/c/ops.h, kernels.h and tf_tensor.h), and rnn_register_op is given the addresses of those
// functions. There is one op for everything, RnnCall. Its attribute `plan` says which field of Call each
// input and output belongs to, as ../../rnn_from_scratch/layers/native_op.py writes it down.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "call.h"

extern "C" int rnn_forward_float32(const Call*), rnn_forward_float64(const Call*);
extern "C" int rnn_backward_float32(const Call*), rnn_backward_float64(const Call*);

namespace {

using Opaque = void*;
enum { FLOAT = 1, DOUBLE = 2, BOOL = 10 };                              // TF_DataType
enum { OK = 0, INVALID_ARGUMENT = 3, RESOURCE_EXHAUSTED = 8, INTERNAL = 13 };  // TF_Code

// TensorFlow's functions, in the order of FUNCTIONS in native_op.py.
struct TensorFlow {
    Opaque (*new_status)();
    void (*delete_status)(Opaque);
    void (*set_status)(Opaque, int code, const char*);
    int (*code)(Opaque);
    Opaque (*new_op)(const char* name);
    void (*add_attribute)(Opaque op, const char*);
    void (*add_input)(Opaque op, const char*);
    void (*add_output)(Opaque op, const char*);
    void (*set_shape_function)(Opaque op, void (*)(Opaque context, Opaque status));
    void (*set_unknown_shape)(Opaque context, Opaque status);
    void (*register_op)(Opaque op, Opaque status);
    Opaque (*new_kernel)(const char* op, const char* device, void* (*create)(Opaque),
            void (*compute)(void*, Opaque),
                         void (*destroy)(void*));
    void (*register_kernel)(const char* name, Opaque kernel, Opaque status);
    void (*attribute_size)(Opaque construction, const char* name, int32_t* count, int32_t* bytes,
            Opaque status);
    void (*int_attribute)(Opaque construction, const char* name, int64_t* values, int count, Opaque status);
    void (*text_attribute)(Opaque construction, const char* name, char* text, size_t count, Opaque status);
    void (*construction_failure)(Opaque construction, Opaque status);
    void (*failure)(Opaque context, Opaque status);
    void (*input)(Opaque context, int index, Opaque* tensor, Opaque status);
    Opaque (*allocate_output)(Opaque context, int index, int type, const int64_t* dims, int count,
            size_t bytes, Opaque status);
    void (*delete_tensor)(Opaque);
    void* (*data)(Opaque tensor);
    int (*rank)(Opaque tensor);
    int64_t (*dim)(Opaque tensor, int axis);
};
TensorFlow tf;
const int64_t* chosen_threads;  // 0: the default
int64_t default_threads;

using Shape = std::vector<int64_t>;  // a size below 0 is known only when the op runs: -1 is B, -2 T, -3 T + 1

struct Layout {
    struct Pointer {
        // inputs and then outputs; place in Call; elements from the tensor's beginning
        int64_t tensor, field, offset;
    };
    int type;
    bool backward;
    int64_t constants[sizeof(Call) / sizeof(int64_t)];  // a Call without arrays and the sizes B and T
    std::vector<Shape> inputs, outputs;
    std::vector<Pointer> pointers;
    std::vector<std::string> names;  // of the inputs, for messages
};

struct Status {
    Opaque handle = tf.new_status();
    ~Status() { tf.delete_status(handle); }
    bool ok() const { return tf.code(handle) == OK; }
    void set(int code, const std::string& message) { tf.set_status(handle, code, message.c_str()); }
};

struct Tensor {
    Opaque handle = nullptr;
    ~Tensor() {
        if (handle) tf.delete_tensor(handle);
    }
};

std::string text(const Shape& shape) {
    std::string all;
    for (int64_t size : shape) all += (all.empty() ? "" : ", ") + std::to_string(size);
    return "[" + all + "]";
}

Shape known(Shape shape, int64_t B, int64_t T) {
    for (int64_t& size : shape) size = size == -1 ? B : size == -2 ? T : size == -3 ? T + 1 : size;
    return shape;
}

// plan: type, backward, the constants; then the inputs' shapes, the outputs' shapes and the pointers, each
// after their number.
void* create(Opaque construction) {
    Status status;
    int32_t count = 0, bytes = 0, length = 0, unused = 0;
    tf.attribute_size(construction, "plan", &count, &bytes, status.handle);
    tf.attribute_size(construction, "names", &unused, &length, status.handle);
    std::vector<int64_t> values(count);
    std::string names(length, ' ');
    tf.int_attribute(construction, "plan", values.data(), count, status.handle);
    tf.text_attribute(construction, "names", &names[0], length, status.handle);
    if (!status.ok()) {
        tf.construction_failure(construction, status.handle);
        return nullptr;
    }
    Layout* layout = new Layout;
    const int64_t* at = values.data();
    layout->type = int(*at++);
    layout->backward = *at++;
    std::memcpy(layout->constants, at, sizeof(Call));
    at += sizeof(Call) / sizeof(int64_t);
    for (auto* shapes : {&layout->inputs, &layout->outputs}) {
        shapes->resize(*at++);
        for (Shape& shape : *shapes) {
            shape.assign(at + 1, at + 1 + *at);
            at += 1 + *at;
        }
    }
    layout->pointers.resize(*at++);
    for (Layout::Pointer& pointer : layout->pointers) pointer = {at[0], at[1], at[2]}, at += 3;
    for (size_t from = 0, to; from < names.size(); from = to + 1) {
        to = std::min(names.find(',', from), names.size());
        layout->names.push_back(names.substr(from, to - from));
    }
    return layout;
}

// Fills a Call in and makes it. The first input is x, [B, T, I].
void compute(const Layout& layout, Opaque context, Status& status) {
    const size_t count = layout.inputs.size(), size = layout.type == FLOAT ? sizeof(float) : sizeof(double);
    std::vector<Tensor> tensors(count + layout.outputs.size());
    Call call;
    std::memcpy(&call, layout.constants, sizeof(Call));
    for (size_t i = 0; i < count; i++) {
        tf.input(context, int(i), &tensors[i].handle, status.handle);
        if (!status.ok()) return;
        Shape shape(tf.rank(tensors[i].handle));
        for (size_t axis = 0; axis < shape.size(); axis++) shape[axis] = tf.dim(tensors[i].handle, int(axis));
        if (i == 0 && shape.size() == 3) call.B = shape[0], call.T = shape[1];
        const Shape expected = known(layout.inputs[i], call.B, call.T);
        if (shape != expected)
            return status.set(INVALID_ARGUMENT,
                              layout.names[i] + ": expected " + text(expected) + ", got " + text(shape));
    }
    if (call.T < 1)
        return status.set(INVALID_ARGUMENT, "x: expected [B, T, I] with T of at least 1, got T = 0");
    for (size_t i = 0; i < layout.outputs.size(); i++) {
        const Shape shape = known(layout.outputs[i], call.B, call.T);
        size_t bytes = size;
        for (int64_t n : shape) bytes *= n;
        Opaque& tensor = tensors[count + i].handle;
        tensor = tf.allocate_output(context, int(i), layout.type, shape.data(), int(shape.size()), bytes,
                status.handle);
        if (!status.ok()) return;
    }
    call.threads = *chosen_threads ? *chosen_threads : default_threads;
    call.x_stride[0] = call.T * call.I, call.x_stride[1] = call.I, call.x_stride[2] = 1;
    call.dx_stride[0] = call.T * call.I, call.dx_stride[1] = call.I;
    call.y_stride[0] = call.T * call.H, call.y_stride[1] = call.H;
    call.dy_stride[0] = call.T * call.H, call.dy_stride[1] = call.H;
    for (const Layout::Pointer& pointer : layout.pointers) {
        char* data = static_cast<char*>(tf.data(tensors[pointer.tensor].handle)) + pointer.offset * size;
        std::memcpy(reinterpret_cast<char*>(&call) + pointer.field * sizeof(int64_t), &data, sizeof(data));
    }
    const auto run = layout.type == FLOAT ? layout.backward ? rnn_backward_float32 : rnn_forward_float32
                                        : layout.backward ? rnn_backward_float64 : rnn_forward_float64;
    const int failed = run(&call);
    if (failed == 1) status.set(RESOURCE_EXHAUSTED, "not enough memory for the native backend");
    if (failed == 2)
        status.set(INTERNAL, "the native backend could not start a thread; set RNN_NUM_THREADS=1");
}

}  // namespace

// Tells TensorFlow of the op; once in a process. `functions` as in struct TensorFlow; `chosen` is read
// at every call of the op. Returns false if TensorFlow refuses it.
extern "C" __attribute__((visibility("default"))) bool rnn_register_op(const TensorFlow* functions,
        const int64_t* chosen, int64_t by_default) {
    tf = *functions;
    chosen_threads = chosen, default_threads = by_default;
    Status status;
    Opaque op = tf.new_op("RnnCall");
    for (const char* attribute : {"Tin: list(type)", "Tout: list(type)", "plan: list(int)", "names: string"})
        tf.add_attribute(op, attribute);
    tf.add_input(op, "inputs: Tin");
    tf.add_output(op, "outputs: Tout");
    tf.set_shape_function(op, [](Opaque context, Opaque status) { tf.set_unknown_shape(context, status); });
    tf.register_op(op, status.handle);
    if (!status.ok()) return false;
    const auto run = [](void* layout, Opaque context) {
        Status status;
        compute(*static_cast<const Layout*>(layout), context, status);
        if (!status.ok()) tf.failure(context, status.handle);
    };
    tf.register_kernel("RnnCall",
            tf.new_kernel("RnnCall", "CPU", create, run,
                    [](void* layout) { delete static_cast<Layout*>(layout); }),
                       status.handle);
    return status.ok();
}
