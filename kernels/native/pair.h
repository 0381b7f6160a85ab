// Two vectors side by side, the value type of the cells: the second one's instructions run while the first
// one's wait.
#pragma once
#include "simd.h"

template <class Real> struct Pair {
    Vec<Real> a, b;
};
template <class Real> struct PairMask {
    typename Simd<Real>::I a, b;
};

#define RNN_OPERATOR(op, Result)                                                     \
    template <class Real> RNN_FN Result<Real> operator op(Pair<Real> x, Pair<Real> y) {\
        return {x.a op y.a, x.b op y.b};                                             \
    }                                                                                \
    template <class Real> RNN_FN Result<Real> operator op(Pair<Real> x, int y) {     \
        return {x.a op Real(y), x.b op Real(y)};                                     \
    }                                                                                \
    template <class Real> RNN_FN Result<Real> operator op(int x, Pair<Real> y) {     \
        return {Real(x) op y.a, Real(x) op y.b};                                     \
    }
RNN_OPERATOR(+, Pair)
RNN_OPERATOR(-, Pair)
RNN_OPERATOR(*, Pair)
RNN_OPERATOR(/, Pair)
RNN_OPERATOR(<, PairMask)
RNN_OPERATOR(>, PairMask)
RNN_OPERATOR(<=, PairMask)
RNN_OPERATOR(>=, PairMask)
RNN_OPERATOR(==, PairMask)
#undef RNN_OPERATOR

template <class Real> RNN_FN Pair<Real> operator-(Pair<Real> x) { return {-x.a, -x.b}; }
template <class Real> RNN_FN PairMask<Real> operator&(PairMask<Real> x, PairMask<Real> y) {
    return {x.a & y.a, x.b & y.b};
}
template <class Real> RNN_FN Pair<Real> select(PairMask<Real> condition, Pair<Real> x, Pair<Real> y) {
    return {condition.a ? x.a : y.a, condition.b ? x.b : y.b};
}

// 2 LANES values from p on, or the first n of them; nothing beyond those is touched, and the lanes of a
// loaded pair are 0 there.
template <class Real> RNN_FN Pair<Real> load_pair(const Real* p) { return {load(p), load(p + LANES<Real>)}; }
template <class Real> RNN_FN Pair<Real> load_pair(const Real* p, int n) {
    return {load(p, n), load(p + LANES<Real>, n - LANES<Real>)};
}
template <class Real> RNN_FN void store_pair(Real* p, Pair<Real> v) {
    store(p, v.a), store(p + LANES<Real>, v.b);
}
template <class Real> RNN_FN void store_pair(Real* p, Pair<Real> v, int n) {
    store(p, v.a, n), store(p + LANES<Real>, v.b, n - LANES<Real>);
}

// The lanes of a pair that a row has: all, or (the last pair of a row) the first n.
struct AllLanes {
    template <class Real> RNN_FN Pair<Real> load(const Real* p) const { return load_pair(p); }
    template <class Real> RNN_FN void store(Real* p, Pair<Real> v) const { store_pair(p, v); }
};
struct FirstLanes {
    int n;
    template <class Real> RNN_FN Pair<Real> load(const Real* p) const { return load_pair(p, n); }
    template <class Real> RNN_FN void store(Real* p, Pair<Real> v) const { store_pair(p, v, n); }
};
