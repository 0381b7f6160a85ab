// How arrays that live from forward to backward are kept: as REAL, or in 16 bits (then REAL is float).
#define RNN_FN __device__ __forceinline__

#if STORAGE == 0
typedef REAL STORE;
RNN_FN REAL load(const STORE* p) { return *p; }
RNN_FN void store(STORE* p, REAL x) { *p = x; }
#else
typedef unsigned short STORE;
RNN_FN float load(const STORE* p) {
#if STORAGE == 2
    return __int_as_float(int(*p) << 16);
#elif defined(EMULATOR)
    return emu::from_float16(*p);
#else
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(*p));
    return x;
#endif
}
RNN_FN void store(STORE* p, float x) {  // to nearest even
#if STORAGE == 2
    unsigned bits = __float_as_int(x);
    *p = STORE(x == x ? (bits + 0x7fff + (bits >> 16 & 1)) >> 16 : 0x7fff);
#elif defined(EMULATOR)
    *p = emu::to_float16(x);
#else
    STORE h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    *p = h;
#endif
}
#endif
