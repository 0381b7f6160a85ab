// Memory: what a thread may touch, and who touched it last. The compiler's ThreadSanitizer pass puts a call
// before every load and store of a kernel; those calls end here. Each is checked against the arrays that the
// launch was given and the block's shared memory, against other threads' accesses that no barrier puts in
// order, and against shared memory never written.
#include <cstdio>
#include <cstring>

#include "half.h"
#include "machine.h"

namespace emu {

static struct {  // a write that the traced thread has begun: its value is known at the thread's next step
    const Region* region;
    size_t first, end;
    const void* pc;
} begun;

static std::string element(const Region& r, size_t index) {
    size_t n = (r.end - r.begin) / r.element;
    return r.shared && n == 1 ? r.name : r.name + "[" + std::to_string(index) + "]";
}

static std::string value(const Region& r, size_t index) {
    char text[40];
    const char* p = reinterpret_cast<const char*>(r.begin) + index * r.element;
    auto as = [p](auto v) {
        memcpy(&v, p, sizeof v);
        return v;
    };
    if (r.kind == 'f' && r.element == 4) snprintf(text, sizeof text, "%.9g", double(as(0.0f)));
    else if (r.kind == 'f' && r.element == 8) snprintf(text, sizeof text, "%.9g", as(0.0));
    else if (r.element == 8) snprintf(text, sizeof text, "%lld", static_cast<long long>(as(int64_t(0))));
    else if (r.element == 4) snprintf(text, sizeof text, "%d", as(int32_t(0)));
    else if (r.element == 2 && r.kind == 'f')
        snprintf(text, sizeof text, "%.5g", double(from_float16(as(uint16_t(0)))));
    else if (r.element == 2 && r.kind == 'V')
        snprintf(text, sizeof text, "%.4g", double(from_bfloat16(as(uint16_t(0)))));
    else if (r.element == 2) snprintf(text, sizeof text, "0x%04x", as(uint16_t(0)));
    else if (r.element == 1) snprintf(text, sizeof text, "%u", as(uint8_t(0)));
    else snprintf(text, sizeof text, "%zu bytes", r.element);
    return text;
}

static void line(const char* what, const Region& r, size_t i, const void* pc) {
    machine.trace += what + element(r, i) + " = " + value(r, i) + "  " + place(pc) + "\n";
}

void finish_trace(const Thread& t) {
    if (int(t.number) != machine.launch.traced || !begun.region) return;
    for (size_t i = begun.first; i < begun.end; i++)
        line("writes ", *begun.region, i, begun.pc);
    begun.region = nullptr;
}

static void tell(const Thread& t, const Region& r, size_t first, size_t end, bool write, const void* pc) {
    if (int(t.number) != machine.launch.traced) return;
    finish_trace(t);
    if (write) begun = {&r, first, end, pc};
    else
        for (size_t i = first; i < end; i++)
            line("reads  ", r, i, pc);
}

static Region* find(Thread& t, uintptr_t a) {
    for (auto& r : machine.regions)
        if (a >= r.begin && a < r.end) return &r;
    for (auto& [number, r] : t.block->arrays)
        if (a >= r.begin && a < r.end) return &r;
    return nullptr;
}

static void out_of_bounds(Thread& t, uintptr_t a, size_t n, bool write, const void* pc) {
    if (reinterpret_cast<uintptr_t>(t.stack) - a < STACK) overflow(t);
    const Region* near = nullptr;
    auto distance = [a](const Region& r) { return a < r.begin ? r.begin - a : a - r.end; };
    for (auto& r : machine.regions)
        if (!near || distance(r) < distance(*near)) near = &r;
    for (auto& [number, r] : t.block->arrays)
        if (!near || distance(r) < distance(*near)) near = &r;
    std::string bytes = std::to_string(n) + " bytes (" + place(pc) + ")";
    std::string text = "out of bounds: " + name(t) + (write ? " writes " : " reads ") + bytes;
    if (near) {
        auto element = static_cast<long long>(near->element);
        long long index = (static_cast<long long>(a) - static_cast<long long>(near->begin)) / element;
        long long elements = static_cast<long long>(near->end - near->begin) / element;
        text += ", nearest is " + near->name + "[" + std::to_string(index) + "] of " +
            std::to_string(elements) + " elements";
    }
    fail(text);
}

static void race(const Thread& t, const Region& r, size_t index, bool write, const void* pc,
                 const Access& other, bool other_write) {
    unsigned blocks = other.thread / machine.per_block, rank = other.thread % machine.per_block;
    Thread like;
    Block block;
    Dim g = machine.grid, s = machine.block;
    block.index = {blocks % g.x, blocks / g.x % g.y, blocks / (g.x * g.y)};
    like.index = {rank % s.x, rank / s.x % s.y, rank / (s.x * s.y)};
    like.block = &block;
    std::string mine = name(t) + (write ? " writes it (" : " reads it (") + place(pc) + ")";
    std::string theirs = name(like) + (other_write ? " wrote it (" : " read it (") + place(other.pc) + ")";
    std::string what = std::string(r.shared ? "shared " : "") + element(r, index);
    fail("race on " + what + ": " + mine + " and " + theirs + " with no barrier between them");
}

// Keeps the reads that no other one comes after, at most two of each warp: a later write must be ordered
// after all of them.
static void remember(Cell& c, const Access& mine, const Thread& t) {
    if (!c.read.interval || ordered(c.read, t)) {
        c.read = mine;
        if (!c.reads) return;
        auto& more = *c.reads;
        for (size_t i = more.size(); i-- > 0;)
            if (ordered(more[i], t)) more.erase(more.begin() + long(i));
        return;
    }
    if (!c.reads) c.reads = std::make_unique<std::vector<Access>>();
    size_t same = 0, last = 0;
    unsigned size = machine.per_block;
    auto warp = [=](const Access& a) { return a.thread / size * 64 + a.thread % size / 32; };
    for (size_t i = 0; i < c.reads->size(); i++) {
        Access& a = (*c.reads)[i];
        if (ordered(a, t)) {
            a = mine;
            return;
        }
        if (warp(a) == warp(mine)) same++, last = i;
    }
    if (same >= 2) (*c.reads)[last] = mine;
    else c.reads->push_back(mine);
}

static void check(Thread& t, Region& r, size_t index, bool write, bool atomic, const void* pc) {
    Cell& c = r.cell(index);
    Access mine{t.number, t.interval, atomic, pc};
    if (r.shared && !write && !c.write.interval)
        fail("uninitialised: " + name(t) + " reads shared " + element(r, index) + " (" + place(pc) +
             "), which no thread of its block has written");
    auto clash = [&](const Access& a) { return a.interval && !(a.atomic && atomic) && !ordered(a, t); };
    if (clash(c.write)) race(t, r, index, write, pc, c.write, true);
    if (!write) {
        remember(c, mine, t);
        return;
    }
    if (clash(c.read)) race(t, r, index, write, pc, c.read, false);
    if (c.reads)
        for (auto& a : *c.reads)
            if (clash(a)) race(t, r, index, write, pc, a, false);
    c.write = mine;
    c.read = {};
    c.reads.reset();
}

static void touch(const void* p, size_t n, bool write, bool atomic, const void* pc) {
    Thread* t = machine.current;
    auto a = reinterpret_cast<uintptr_t>(p);
    if (!t || a - reinterpret_cast<uintptr_t>(t->stack) < STACK) return;
    Region* r = find(*t, a);
    if (!r || a + n > r->end) {
        out_of_bounds(*t, a, n, write, pc);
        return;
    }
    size_t first = (a - r->begin) / r->element, end = (a - r->begin + n - 1) / r->element + 1;
    for (size_t i = first; i < end; i++) check(*t, *r, i, write, atomic, pc);
    tell(*t, *r, first, end, write, pc);
    if (write) machine.idle = 0;
    if (++t->accesses > FOR_EVER)
        fail("endless: " + name(*t) + " has touched memory " + std::to_string(FOR_EVER) + " times (" +
            place(pc) + ")");
    if (--machine.fuse <= 0) yield();
}

// ---- shared memory: each array of a block has its own piece of memory, NaN at first

static void* shared(int number, size_t bytes, size_t element, char kind, const char* name) {
    Block* b = machine.current->block;
    auto found = b->arrays.find(number);
    if (found == b->arrays.end()) {
        constexpr size_t ROOM = 256;  // on both sides, so that the next array is never an overrun away
        b->storage.emplace_back(bytes + 2 * ROOM, char(0xff));
        auto begin = (reinterpret_cast<uintptr_t>(b->storage.back().data()) + ROOM) & ~uintptr_t(127);
        found = b->arrays.emplace(number, Region{name, begin, begin + bytes, element, kind, true, {}}).first;
        size_t total = 0;
        for (auto& [n, r] : b->arrays) total += r.end - r.begin;
        if (total > 227 * 1024)
            fail("too much shared memory: " + std::to_string(total) + " bytes in one block");
    }
    return reinterpret_cast<void*>(found->second.begin);
}
void* shared_array(int number, size_t bytes, size_t element, char kind, const char* name) {
    return shared(number, bytes, element, kind, name);
}
void* dynamic_shared(size_t element, char kind, const char* name) {
    return shared(-1, machine.launch.shared, element, kind, name);
}

// ---- atomics: a chance for others to run, then the check and the access in one piece

void before_atomic(const void* p, size_t n, bool write, const void* pc) {
    long idle = machine.idle;
    machine.current->polled = pc;
    yield();
    machine.fuse = 2;
    touch(p, n, write, true, pc);
    machine.idle = idle;
}

// Volatile is a relaxed atomic access, of which only the beginning is told.
static void volatile_access(const void* p, size_t n, bool write, const void* pc) {
    if (!machine.current) return;
    before_atomic(p, n, write, pc);
    after_atomic(p, write, write, RELAXED);
}

Dim thread_index() { return machine.current->index; }
Dim block_index() { return machine.current->block->index; }
Dim block_size() { return machine.block; }
Dim grid_size() { return machine.grid; }
unsigned lane() { return machine.current->lane; }

}  // namespace emu

// ---- the calls that -fsanitize=thread,alignment makes

extern "C" void __ubsan_handle_type_mismatch_v1(void*, void* p) {
    if (!emu::machine.current) return;
    auto a = reinterpret_cast<uintptr_t>(p);
    std::string byte = std::to_string(a % 256), where = emu::place(__builtin_return_address(0));
    emu::fail("misaligned: " + emu::name(*emu::machine.current) + " takes an address that its type does" +
              " not allow, ..." + byte + " in the last byte (" + where + ")");
}

#define CALLER __builtin_return_address(0)
#define HOOK(name, n, write)                                                                              \
    extern "C" void __tsan_##name##n(void* p) { emu::touch(p, n, write, false, CALLER); }                 \
    extern "C" void __tsan_volatile_##name##n(void* p) { emu::volatile_access(p, n, write, CALLER); }     \
    extern "C" void __tsan_unaligned_##name##n(void* p) { emu::touch(p, n, write, false, CALLER); }
#define HOOKS(n) HOOK(read, n, false) HOOK(write, n, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" void __tsan_read_range(void* p, size_t n) { emu::touch(p, n, false, false, CALLER); }
extern "C" void __tsan_write_range(void* p, size_t n) { emu::touch(p, n, true, false, CALLER); }
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_init() {}
