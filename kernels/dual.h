// Numbers that carry a tangent along a direction, as a value type of the cells: v, and how it moves, d. The
// cells' own text then makes tangents of what it makes. native/dual.h is the same on vectors.

template <class V> struct Dual {
    V v, d;
};

template <class V> RNN_FN Dual<V> operator-(Dual<V> x) { return {-x.v, -x.d}; }
template <class V> RNN_FN Dual<V> operator+(Dual<V> x, Dual<V> y) { return {x.v + y.v, x.d + y.d}; }
template <class V> RNN_FN Dual<V> operator-(Dual<V> x, Dual<V> y) { return {x.v - y.v, x.d - y.d}; }
template <class V> RNN_FN Dual<V> operator*(Dual<V> x, Dual<V> y) {
    return {x.v * y.v, x.d * y.v + x.v * y.d};
}
template <class V> RNN_FN Dual<V> operator/(Dual<V> x, Dual<V> y) {
    V q = x.v / y.v;
    return {q, (x.d - q * y.d) / y.v};
}
template <class V> RNN_FN Dual<V> operator+(Dual<V> x, int n) { return {x.v + n, x.d}; }
template <class V> RNN_FN Dual<V> operator+(int n, Dual<V> x) { return {n + x.v, x.d}; }
template <class V> RNN_FN Dual<V> operator-(Dual<V> x, int n) { return {x.v - n, x.d}; }
template <class V> RNN_FN Dual<V> operator-(int n, Dual<V> x) { return {n - x.v, -x.d}; }
template <class V> RNN_FN Dual<V> operator*(Dual<V> x, int n) { return {x.v * n, x.d * n}; }
template <class V> RNN_FN Dual<V> operator*(int n, Dual<V> x) { return {n * x.v, n * x.d}; }
template <class V> RNN_FN Dual<V> operator/(Dual<V> x, int n) { return {x.v / n, x.d / n}; }

// Branches look at the number alone.
template <class V> RNN_FN bool operator<(Dual<V> x, int n) { return x.v < n; }
template <class V> RNN_FN bool operator>(Dual<V> x, int n) { return x.v > n; }
template <class V> RNN_FN bool operator<=(Dual<V> x, int n) { return x.v <= n; }
template <class V> RNN_FN bool operator>=(Dual<V> x, int n) { return x.v >= n; }
template <class V> RNN_FN bool operator==(Dual<V> x, Dual<V> y) { return x.v == y.v; }

template <class V> RNN_FN Dual<V> exp(Dual<V> x) {
    V y = exp(x.v);
    return {y, y * x.d};
}
template <class V> RNN_FN Dual<V> tanh(Dual<V> x) {
    V y = tanh(x.v);
    return {y, (1 - y * y) * x.d};
}
