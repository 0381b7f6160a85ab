// mma.sync: when all 32 lanes of a warp have come, their fragments become matrices, which are multiplied.
#include <cmath>

#include "half.h"
#include "machine.h"

namespace emu {

// Number k of a line of words. Of a TF32 the hardware does not look at the last 13 bits.
static float number(Format format, const uint32_t* words, int k) {
    if (format == TF32) return from_bits(words[k] & ~0x1fffu);
    auto half = uint16_t(words[k / 2] >> 16 * (k % 2));
    return format == F16 ? from_float16(half) : from_bfloat16(half);
}

static float toward_zero(double x) {
    auto rounded = float(x);
    bool too_large = std::isfinite(rounded) && std::fabs(double(rounded)) > std::fabs(x);
    return too_large ? std::nextafter(rounded, 0.0f) : rounded;
}

// sum + a b as the first tensor cores add up, four products at a time: what lies below the last of 24 bits
// of the largest is cut off (Fasi et al. 2021, doi:10.7717/peerj-cs.330). Later ones keep more bits.
static float dot(Format format, const uint32_t* a, const uint32_t* b, int depth, float sum) {
    for (int k = 0; k < depth; k += 4) {
        double terms[5] = {sum}, most = std::fabs(double(sum)), total = 0;
        for (int i = 0; i < 4; i++) {
            terms[i + 1] = double(number(format, a, k + i)) * number(format, b, k + i);
            most = std::fmax(most, std::fabs(terms[i + 1]));
            total += terms[i + 1];
        }
        total += sum;
        if (std::isfinite(total) && most > 0) {
            double unit = std::ldexp(1.0, std::ilogb(most) - 23);
            total = 0;
            for (double term : terms) total += std::trunc(term / unit) * unit;
        }
        sum = toward_zero(total);
    }
    return sum;
}

static void multiply(const std::vector<Thread*>& warp) {
    Format format = warp[0]->operands->format;
    int depth = warp[0]->operands->depth;
    int words = depth / (format == TF32 ? 1 : 2);
    uint32_t a[16][8], b[8][8];
    for (int lane = 0; lane < 32; lane++) {
        const Operands& mine = *warp[size_t(lane)]->operands;
        int g = lane / 4, t = lane % 4;
        for (int i = 0; i < words / 2; i++) a[g + 8 * (i % 2)][t + 4 * (i / 2)] = mine.a[i];
        for (int i = 0; i < words / 4; i++) b[g][t + 4 * i] = mine.b[i];
    }
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++) {
            float& sum = warp[size_t(lane)]->operands->sum[i];
            sum = dot(format, a[lane / 4 + 8 * (i / 2)], b[2 * (lane % 4) + i % 2], depth, sum);
        }
}

void mma(Format format, int depth, float* sum, const uint32_t* a, const uint32_t* b, const char* file,
         int line) {
    Thread* me = machine.current;
    Operands mine{format, depth, a, b, sum};
    me->mask = ~0u, me->site = {file, line}, me->operands = &mine;
    auto warp = lanes(*me);
    if (warp.size() < 32)
        fail("mma.sync: the warp of " + name(*me) + " (" + name(me->site) + ") has only " +
             std::to_string(warp.size()) + " lanes");
    if (!complete(*me)) {
        wait(AT_WARP, me->site);  // the last one multiplies for all
        return;
    }
    for (Thread* other : warp)
        if (other->operands->format != format || other->operands->depth != depth)
            fail("mma.sync: " + name(*me) + " and " + name(*other) + " (" + name(me->site) +
                 ") bring matrices of two kinds");
    multiply(warp);
    for (Thread* other : warp) release(*other);
    yield();
}

}  // namespace emu
