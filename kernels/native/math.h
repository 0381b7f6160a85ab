// exp and tanh of SIMD vectors: within 1 ulp and 2 ulp in float, 1 ulp and 3 ulp in double, everywhere.
#pragma once
#include "pair.h"

// ONE: the bits of 1, an exponent of 0. ln 2 = LN2_HIGH + LN2_LOW, and LN2_HIGH has so few bits that n *
// LN2_HIGH is exact. ROUND: x + ROUND - ROUND is the nearest integer, which then stands in the low bits of x
// + ROUND. Beyond LOWEST and HIGHEST exp is 0 and infinite, beyond FLAT tanh is 1.
template <class Real> struct Constants;
template <> struct Constants<float> {
    static constexpr int MANTISSA = 23, TERMS = 7;
    static constexpr int32_t ONE = 127 << MANTISSA;
    static constexpr float ROUND = 0x1.8p23f, LOG2E = 1.44269504088896341f;
    static constexpr float LN2_HIGH = 0x1.63p-1f, LN2_LOW = -0x1.bd0106p-13f;
    static constexpr float LOWEST = -104, HIGHEST = 89, FLAT = 9.1f;
};
template <> struct Constants<double> {
    static constexpr int MANTISSA = 52, TERMS = 13;
    static constexpr int64_t ONE = int64_t(1023) << MANTISSA;
    static constexpr double ROUND = 0x1.8p52, LOG2E = 1.44269504088896341;
    static constexpr double LN2_HIGH = 0x1.62e42feep-1, LN2_LOW = 0x1.a39ef35793c76p-33;
    static constexpr double LOWEST = -746, HIGHEST = 710, FLAT = 19.1;
};

template <class To, class From> RNN_FN To bits(From from) {
    To to;
    std::memcpy(&to, &from, BYTES);
    return to;
}

template <class Real> constexpr Real inverse_factorial(int n) {
    double product = 1;
    for (int i = 2; i <= n; i++) product *= i;
    return Real(1 / product);
}

// x, but no less than `low` (no more than `high`); NaN stays NaN. And y 2^n for the n of reduced_expm1.
#if defined(__AVX512F__)
template <class Real> RNN_FN Vec<Real> at_least(Real low, Vec<Real> x) {
    if constexpr (sizeof(Real) == 4) return _mm512_maskz_max_ps(__mmask16(-1), splat(low), x);
    else return _mm512_maskz_max_pd(__mmask8(-1), splat(low), x);
}
template <class Real> RNN_FN Vec<Real> at_most(Real high, Vec<Real> x) {
    if constexpr (sizeof(Real) == 4) return _mm512_maskz_min_ps(__mmask16(-1), splat(high), x);
    else return _mm512_maskz_min_pd(__mmask8(-1), splat(high), x);
}
template <class Real> RNN_FN Vec<Real> times_power_of_2(Vec<Real> y, Vec<Real> sum) {
    Vec<Real> n = sum - Constants<Real>::ROUND;
    if constexpr (sizeof(Real) == 4) return _mm512_maskz_scalef_ps(__mmask16(-1), y, n);
    else return _mm512_maskz_scalef_pd(__mmask8(-1), y, n);
}
#else
template <class Real> RNN_FN Vec<Real> at_least(Real low, Vec<Real> x) { return x < low ? splat(low) : x; }
template <class Real> RNN_FN Vec<Real> at_most(Real high, Vec<Real> x) { return x > high ? splat(high) : x; }
template <class Real> RNN_FN Vec<Real> times_power_of_2(Vec<Real> y, Vec<Real> sum) {
    using C = Constants<Real>;
    using I = typename Simd<Real>::I;
    // 2^n in two factors: one alone cannot reach the denormals
    I m = bits<I>(sum), half = ((m >> 1) << C::MANTISSA) + C::ONE;
    I rest = (m << C::MANTISSA) + 2 * C::ONE - half;
    return y * bits<Vec<Real>>(half) * bits<Vec<Real>>(rest);
}
#endif

// x = n ln 2 + r with |r| <= ln 2 / 2: returns exp(r) - 1 by its Taylor series; sum = n + ROUND has n in its
// low bits.
template <class Real> RNN_FN Vec<Real> reduced_expm1(Vec<Real> x, Vec<Real>& sum) {
    using C = Constants<Real>;
    sum = x * C::LOG2E + C::ROUND;
    Vec<Real> n = sum - C::ROUND;
    Vec<Real> r = (x - n * C::LN2_HIGH) - n * C::LN2_LOW;
    Vec<Real> q = splat(inverse_factorial<Real>(C::TERMS));
    for (int term = C::TERMS - 1; term >= 2; term--) q = q * r + inverse_factorial<Real>(term);
    return r + r * r * q;
}

template <class Real> RNN_FN Vec<Real> exp_of(Vec<Real> x) {
    using C = Constants<Real>;
    Vec<Real> sum, e = reduced_expm1<Real>(at_most<Real>(C::HIGHEST, at_least<Real>(C::LOWEST, x)), sum);
    return times_power_of_2<Real>(1 + e, sum);
}

// tanh a = e / (e + 2) with e = exp(2a) - 1, for a = |x|. Near 0 the same as e/2 - e/2 * (e / (e + 2)), where
// the rounding of the quotient hardly counts.
template <class Real> RNN_FN Vec<Real> tanh_of(Vec<Real> x) {
    using C = Constants<Real>;
    using I = typename Simd<Real>::I;
    I sign = bits<I>(x) & bits<I>(splat(Real(-0.0)));
    Vec<Real> a = bits<Vec<Real>>(bits<I>(x) ^ sign);
    Vec<Real> sum, expm1 = reduced_expm1<Real>(2 * at_most<Real>(C::FLAT, a), sum);
    Vec<Real> scale = bits<Vec<Real>>((bits<I>(sum) << C::MANTISSA) + C::ONE);
    Vec<Real> e = expm1 * scale + (scale - 1), half = e * Real(0.5), y = e / (e + 2);
    y = e < 1 ? half - half * y : y;
    return bits<Vec<Real>>(bits<I>(y) | sign);
}

RNN_FN Pair<float> exp(Pair<float> x) { return {exp_of<float>(x.a), exp_of<float>(x.b)}; }
RNN_FN Pair<double> exp(Pair<double> x) { return {exp_of<double>(x.a), exp_of<double>(x.b)}; }
RNN_FN Pair<float> tanh(Pair<float> x) { return {tanh_of<float>(x.a), tanh_of<float>(x.b)}; }
RNN_FN Pair<double> tanh(Pair<double> x) { return {tanh_of<double>(x.a), tanh_of<double>(x.b)}; }
