// Activations, each with its derivative written in the output: the twin of
// ../../rnn_from_scratch/cells/activations.py.
//
// V is the value type: float or double (host or CUDA), or a SIMD vector of them. These headers include
// nothing. Whoever includes them has this in scope first:
//     RNN_FN               what a function begins with: __device__ __forceinline__, or inline on the host
//     exp(V), tanh(V)      overloads for every V in use
// then this file, then the cells. V{} is 0 for every kind of V, and V{} + 1 is 1. Every branch is a select,
// written so that NaN falls through it.

template <class Condition, class V>
RNN_FN V select(Condition condition, V a, V b) {
    return condition ? a : b;
}

template <class Condition, class V>
RNN_FN V one_where(Condition condition, V) {
    return select(condition, V{} + 1, V{});
}

struct Tanh {
    template <class V> static RNN_FN V f(V a) { return tanh(a); }
    template <class V> static RNN_FN V derivative(V y) { return 1 - y * y; }
};

// 1 / (1 + exp(-a)), from exp(-|a|) <= 1 so that no a overflows.
struct Sigmoid {
    template <class V> static RNN_FN V f(V a) {
        V e = exp(select(a >= 0, -a, a));
        return select(a >= 0, V{} + 1, e) / (1 + e);
    }
    template <class V> static RNN_FN V derivative(V y) { return y * (1 - y); }
};

struct Relu {
    template <class V> static RNN_FN V f(V a) { return select(a <= 0, V{}, a); }
    template <class V> static RNN_FN V derivative(V y) { return one_where(y > 0, y); }
};

struct Linear {
    template <class V> static RNN_FN V f(V a) { return a; }
    template <class V> static RNN_FN V derivative(V y) { return one_where(y == y, y); }
};

// Keras 3: relu6(a + 3) / 6. (Keras 2 and ONNX use 0.2 a + 0.5: another cell under the same name.)
struct HardSigmoid {
    template <class V> static RNN_FN V f(V a) {
        V s = a + 3;
        return select(s <= 0, V{}, select(s >= 6, V{} + 6, s)) / 6;
    }
    template <class V> static RNN_FN V derivative(V y) { return one_where((y > 0) & (y < 1), y) / 6; }
};
