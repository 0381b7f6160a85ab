// Block barriers, warp exchanges and fences; and the vector clocks that say which accesses they put in order.
#include <algorithm>

#include "machine.h"

namespace emu {

// ---- clocks: access A comes before thread t's next one if t knows A's thread up to A's interval

bool ordered(const Access& a, const Thread& t) {
    return a.thread == t.number || (t.seen && (*t.seen)[a.thread] >= a.interval);
}

Clock joined(const Clock& a, const Clock& b) {
    if (!a || !b || a == b) return a ? a : b;
    auto c = std::make_shared<std::vector<uint32_t>>(*a);
    for (size_t i = 0; i < c->size(); i++) (*c)[i] = std::max((*c)[i], (*b)[i]);
    return c;
}

// What t knows and what it did itself, as others get it from a release. Starts a new interval of t.
static Clock publish(Thread& t) {
    auto c = t.seen ? std::make_shared<std::vector<uint32_t>>(*t.seen)
                    : std::make_shared<std::vector<uint32_t>>(size_t(machine.blocks) * machine.per_block, 0u);
    (*c)[t.number] = t.interval++;
    return c;
}

static void join_all(const std::vector<Thread*>& threads) {
    Clock before;
    for (Thread* t : threads)
        if (t->seen != before) before = joined(before, t->seen);
    auto c = before ? std::make_shared<std::vector<uint32_t>>(*before)
                    : std::make_shared<std::vector<uint32_t>>(size_t(machine.blocks) * machine.per_block, 0u);
    for (Thread* t : threads) (*c)[t->number] = t->interval++;
    for (Thread* t : threads) t->seen = c;
}

// ---- __syncthreads

int block_barrier(int value, const char* file, int line) {
    Thread* me = machine.current;
    Block* b = me->block;
    if (b->live != b->threads.size())
        fail("divergent barrier: " + name(*me) + " waits at __syncthreads (" + name(Site{file, line}) +
             ") after " + std::to_string(b->threads.size() - b->live) +
             " threads of its block have left the kernel");
    for (auto& t : b->threads)
        if (t.state == AT_BARRIER && (t.site.line != line || std::string(t.site.file) != file))
            fail("divergent barrier: " + name(*me) + " waits at " + name(Site{file, line}) + " while " +
                 name(t) + " waits at " + name(t.site));
    finish_trace(*me);
    if (int(me->number) == machine.launch.traced)
        machine.trace += "waits  at __syncthreads  " + name(Site{file, line}) + "\n";
    b->count += value;
    if (++b->waiting < b->live) {
        wait(AT_BARRIER, {file, line});
        return b->counted;
    }
    std::vector<Thread*> all;
    for (auto& t : b->threads) all.push_back(&t);
    join_all(all);
    for (auto& t : b->threads) release(t);
    b->counted = b->count;
    b->waiting = 0, b->count = 0;
    yield();  // whoever comes last need not go on first
    return b->counted;
}

// ---- shuffles, ballots and __syncwarp: all lanes of the mask meet at one line

static std::vector<Thread*> lanes(const Thread& t) {
    std::vector<Thread*> warp;
    auto& threads = t.block->threads;
    for (size_t i = t.warp * 32; i < threads.size() && i < t.warp * 32 + 32; i++) warp.push_back(&threads[i]);
    return warp;
}

static std::string in_vain(const Thread& t, const Thread& gone) {
    std::string who = name(t) + " (" + name(t.site) + ")";
    return "divergent warp exchange: " + who + " waits for " + name(gone) + ", which has left the kernel";
}

static bool complete(const Thread& t) {
    for (Thread* other : lanes(t))
        if (t.mask >> other->lane & 1) {
            if (other == &t) continue;
            if (other->state == DONE) fail(in_vain(t, *other));
            if (other->state != AT_WARP || other->mask != t.mask) return false;
            if (other->site.line != t.site.line || std::string(other->site.file) != t.site.file)
                fail("divergent warp exchange: " + name(t) + " is at " + name(t.site) + ", " +
                     name(*other) + " at " + name(other->site));
        }
    return true;
}

static void exchange(const Thread& t) {
    auto warp = lanes(t);
    std::vector<Thread*> members;
    uint64_t ballot = 0;
    for (Thread* m : warp)
        if (t.mask >> m->lane & 1) {
            members.push_back(m);
            ballot |= (m->value & 1) << m->lane;
        }
    if (t.ordered) join_all(members);
    for (Thread* m : members) {
        bool there = m->source >= 0 && m->source < int(warp.size()) && (t.mask >> m->source & 1);
        // from a lane that is not there: NaN
        m->result = m->source < 0 ? ballot : there ? warp[m->source]->value : ~uint64_t(0);
    }
    for (Thread* m : members) release(*m);
}

uint64_t warp_exchange(unsigned mask, uint64_t value, int source, bool ordered, const char* file, int line) {
    Thread* me = machine.current;
    me->mask = mask, me->value = value, me->source = source, me->ordered = ordered, me->site = {file, line};
    if (!(mask >> me->lane & 1))
        fail("warp exchange: " + name(*me) + " (" + name(me->site) + ") is not in its own mask");
    if (complete(*me)) {
        exchange(*me);
        yield();
    } else {
        wait(AT_WARP, {file, line});
    }
    return me->result;
}

// A thread has left the kernel: lanes that wait for it wait in vain.
void left(const Thread& gone) {
    for (Thread* t : lanes(gone))
        if (t->state == AT_WARP && t->mask >> gone.lane & 1 && !machine.failed) {
            machine.report = in_vain(*t, gone);
            machine.failed = true;
        }
}

// ---- atomics and fences

void fence() {
    Thread* t = machine.current;
    t->seen = joined(t->seen, t->pending);
    t->pending = nullptr;
    t->released = publish(*t);
    yield();
}

long long clock() { return machine.current->accesses; }

void pause() {
    machine.idle++;
    yield();
}

// After an atomic access: clocks pass through the address, as the order asks.
void after_atomic(const void* p, bool write, bool changed, Order order) {
    Thread* t = machine.current;
    auto& here = machine.published[reinterpret_cast<uintptr_t>(p)];
    t->pending = joined(t->pending, here);
    if (write) here = joined(here, order == RELEASE ? publish(*t) : t->released);
    machine.idle = changed ? 0 : machine.idle + 1;
}

}  // namespace emu
