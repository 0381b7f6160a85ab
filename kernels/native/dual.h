// Numbers that carry a tangent along a direction, as a value type of the cells: v, and how it moves, d. The
// cells' own text then makes tangents of what it makes.
//
// And how values lie in arrays. Where numbers carry tangents every array has twice the rows: those of the
// numbers, and behind them, `far` values on, those of their tangents. An array of gradients has both
// gradients of such a pair: by the tangent that is the gradient v of first order, by the number it is v's
// tangent d.
#pragma once
#include "math.h"

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
template <class V> RNN_FN auto operator<(Dual<V> x, int n) { return x.v < n; }
template <class V> RNN_FN auto operator>(Dual<V> x, int n) { return x.v > n; }
template <class V> RNN_FN auto operator<=(Dual<V> x, int n) { return x.v <= n; }
template <class V> RNN_FN auto operator>=(Dual<V> x, int n) { return x.v >= n; }
template <class V> RNN_FN auto operator==(Dual<V> x, Dual<V> y) { return x.v == y.v; }
template <class Real>
RNN_FN Dual<Pair<Real>> select(PairMask<Real> condition, Dual<Pair<Real>> x, Dual<Pair<Real>> y) {
    return {select(condition, x.v, y.v), select(condition, x.d, y.d)};
}

// Not inlined: all cells with all activations on this type would take the compiler minutes.
template <class V> __attribute__((noinline)) Dual<V> exp(Dual<V> x) {
    V y = exp(x.v);
    return {y, y * x.d};
}
template <class V> __attribute__((noinline)) Dual<V> tanh(Dual<V> x) {
    V y = tanh(x.v);
    return {y, (1 - y * y) * x.d};
}

// How a value is read from arrays and written to them.
template <class V> struct InRows;

template <class Real> struct InRows<Pair<Real>> {
    using V = Pair<Real>;
    static constexpr bool DUAL = false;
    template <class Lanes> static RNN_FN V load(Lanes lanes, const Real* p, ptrdiff_t) {
        return lanes.load(p);
    }
    template <class Lanes> static RNN_FN void store(Lanes lanes, Real* p, ptrdiff_t, V v) {
        lanes.store(p, v);
    }
    static RNN_FN V load_gradient(const Real* p, ptrdiff_t) { return load_pair(p); }
    static RNN_FN void store_gradient(Real* p, ptrdiff_t, V v) { store_pair(p, v); }
    template <class Lanes> static RNN_FN V alone(Lanes lanes, const Real* p, const Real*) {
        return lanes.load(p);
    }
};

template <class Real> struct InRows<Dual<Pair<Real>>> {
    using V = Dual<Pair<Real>>;
    static constexpr bool DUAL = true;
    template <class Lanes> static RNN_FN V load(Lanes lanes, const Real* p, ptrdiff_t far) {
        return {lanes.load(p), lanes.load(p + far)};
    }
    template <class Lanes> static RNN_FN void store(Lanes lanes, Real* p, ptrdiff_t far, V v) {
        lanes.store(p, v.v), lanes.store(p + far, v.d);
    }
    static RNN_FN V load_gradient(const Real* p, ptrdiff_t far) {
        return {load_pair(p + far), load_pair(p)};
    }
    static RNN_FN void store_gradient(Real* p, ptrdiff_t far, V v) {
        store_pair(p + far, v.v), store_pair(p, v.d);
    }
    // A value whose tangent is elsewhere, or 0 if that is null.
    template <class Lanes> static RNN_FN V alone(Lanes lanes, const Real* p, const Real* tangent) {
        return {lanes.load(p), tangent ? lanes.load(tangent) : Pair<Real>{}};
    }
};
