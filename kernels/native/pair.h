// Two vectors side by side, the value type of the cells: the second one's instructions run while the first one's wait.
#pragma once
#include "simd.h"

template <class T> struct Pair {
    Vec<T> a, b;
};
template <class T> struct PairMask {
    typename Simd<T>::I a, b;
};

#define RNN_OPERATOR(op, Result)                                                                                             \
    template <class T> RNN_FN Result<T> operator op(Pair<T> x, Pair<T> y) { return {x.a op y.a, x.b op y.b}; }               \
    template <class T> RNN_FN Result<T> operator op(Pair<T> x, int y) { return {x.a op T(y), x.b op T(y)}; }                 \
    template <class T> RNN_FN Result<T> operator op(int x, Pair<T> y) { return {T(x) op y.a, T(x) op y.b}; }
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

template <class T> RNN_FN Pair<T> operator-(Pair<T> x) { return {-x.a, -x.b}; }
template <class T> RNN_FN PairMask<T> operator&(PairMask<T> x, PairMask<T> y) { return {x.a & y.a, x.b & y.b}; }
template <class T> RNN_FN Pair<T> select(PairMask<T> condition, Pair<T> x, Pair<T> y) {
    return {condition.a ? x.a : y.a, condition.b ? x.b : y.b};
}

// 2 LANES values from p on, or the first n of them; nothing beyond those is touched, and the lanes of a loaded pair are 0 there.
template <class T> RNN_FN Pair<T> load_pair(const T* p) { return {load(p), load(p + LANES<T>)}; }
template <class T> RNN_FN Pair<T> load_pair(const T* p, int n) { return {load(p, n), load(p + LANES<T>, n - LANES<T>)}; }
template <class T> RNN_FN void store_pair(T* p, Pair<T> v) { store(p, v.a), store(p + LANES<T>, v.b); }
template <class T> RNN_FN void store_pair(T* p, Pair<T> v, int n) { store(p, v.a, n), store(p + LANES<T>, v.b, n - LANES<T>); }

// The lanes of a pair that a row has: all, or (the last pair of a row) the first n.
struct AllLanes {
    template <class T> RNN_FN Pair<T> load(const T* p) const { return load_pair(p); }
    template <class T> RNN_FN void store(T* p, Pair<T> v) const { store_pair(p, v); }
};
struct FirstLanes {
    int n;
    template <class T> RNN_FN Pair<T> load(const T* p) const { return load_pair(p, n); }
    template <class T> RNN_FN void store(T* p, Pair<T> v) const { store_pair(p, v, n); }
};
