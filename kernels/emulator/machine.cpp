// The scheduler. Every CUDA thread is a fibre, and all blocks are alive at once (up to `resident` threads),
// so that grid barriers work. It is an adversary: it favours one block for a random stretch, runs the threads
// of a block in any order, lowest first or highest first, and interrupts them between two accesses. The seed
// decides everything.
#include "machine.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "fibre.h"

namespace emu {

Machine machine;
static const char CANARY[] = "the end of the stack";

uint64_t random(uint64_t below) { return machine.random() % below; }

static std::string name(Dim d) {
    return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}
std::string name(const Thread& t) { return "thread " + name(t.index) + " of block " + name(t.block->index); }
std::string name(Site s) { return std::string(s.file) + ":" + std::to_string(s.line); }
std::string place(const void* pc) {
    Dl_info info;
    char text[40];
    dladdr(pc, &info);
    snprintf(text, sizeof text, "<+0x%zx>",
        size_t(static_cast<const char*>(pc) - static_cast<char*>(info.dli_fbase)) - 1);
    return text;
}

static void to_host() { emu_switch(&machine.current->sp, machine.host); }

void fail(const std::string& what) {
    machine.report = what;
    machine.failed = true;
    to_host();  // never comes back
    __builtin_unreachable();
}

static std::string too_deep(const Thread& t) {
    return "stack overflow: " + name(t) + " needs more than " + std::to_string(STACK) +
        " bytes of local memory";
}

void overflow(const Thread& t) { fail(too_deep(t)); }

void yield() {
    machine.fuse = 1 + int(random(200));
    to_host();
}

void wait(State state, Site site) {
    Thread* t = machine.current;
    t->state = state, t->site = site;
    auto& ready = t->block->ready;
    ready.erase(std::find(ready.begin(), ready.end(), t));
    to_host();
}

void release(Thread& t) {
    if (t.state == READY) return;
    t.state = READY;
    t.block->ready.push_back(&t);
    machine.idle = 0;
}

static void run_thread() {
    machine.launch.call(machine.launch.arguments);
    Thread* t = machine.current;
    finish_trace(*t);
    Block* b = t->block;
    if (b->waiting) {
        for (auto& other : b->threads)
            if (other.state == AT_BARRIER)
                fail("divergent barrier: " + name(*t) + " has left the kernel while " + name(other) +
                     " waits at __syncthreads (" + name(other.site) + ")");
    }
    wait(DONE, {});
}

static std::unique_ptr<Block> start(unsigned number) {
    auto b = std::make_unique<Block>();
    Dim g = machine.grid, s = machine.block;
    b->number = number, b->live = machine.per_block;
    b->index = {number % g.x, number / g.x % g.y, number / (g.x * g.y)};
    b->threads.resize(machine.per_block);
    for (unsigned i = 0; i < machine.per_block; i++) {
        Thread& t = b->threads[i];
        t.index = {i % s.x, i / s.x % s.y, i / (s.x * s.y)};
        t.block = b.get();
        t.number = number * machine.per_block + i;
        t.rank = i, t.lane = i % 32, t.warp = i / 32;
        if (machine.stacks.empty()) {
            void* memory = mmap(nullptr, 2 * STACK, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (memory == MAP_FAILED) return nullptr;
            // below it, room to overflow into until that is seen
            machine.stacks.push_back(static_cast<char*>(memory) + STACK);
        }
        t.stack = machine.stacks.back();
        machine.stacks.pop_back();
        memcpy(t.stack, CANARY, sizeof CANARY);
        t.sp = first_frame(t.stack, STACK, run_thread);
        b->ready.push_back(&t);
    }
    return b;
}

static void end(Block& b) {
    for (auto& t : b.threads) machine.stacks.push_back(t.stack);
}

// Nobody can run, or everybody who can only polls: tells who waits where, block by block.
static std::string deadlock() {
    std::string text = "deadlock:";
    int lines = 0;
    for (auto& b : machine.alive) {
        std::map<std::string, std::vector<unsigned>> waiting;
        for (auto& t : b->threads) {
            if (t.state == AT_BARRIER) waiting["at __syncthreads (" + name(t.site) + ")"].push_back(t.rank);
            if (t.state == AT_WARP) waiting["in a warp exchange (" + name(t.site) + ")"].push_back(t.rank);
            if (t.state == READY)
                waiting[t.polled ? "polling (" + place(t.polled) + ")" : "running"].push_back(t.rank);
            if (t.state == DONE) waiting["gone"].push_back(t.rank);
        }
        for (auto& [where, ranks] : waiting)
            if (lines++ < 12)
                text += "\n  block " + name(b->index) + ": " + std::to_string(ranks.size()) + " threads " +
                        where + ", the first is thread " + name(b->threads[ranks[0]].index);
    }
    return text;
}

static void schedule() {
    std::vector<unsigned> coming(machine.blocks);
    for (unsigned i = 0; i < machine.blocks; i++) coming[i] = machine.blocks - 1 - i;
    std::shuffle(coming.begin(), coming.end(), machine.random);
    Block* favourite = nullptr;
    long stretch = 0;
    enum { ANY, LOWEST, HIGHEST } mood = ANY;
    while (!machine.failed) {
        auto room = [] { return (machine.alive.size() + 1) * machine.per_block <= machine.launch.resident; };
        while (!coming.empty() && (machine.alive.empty() || room())) {
            machine.alive.push_back(start(coming.back()));
            if (!machine.alive.back()) {
                machine.report = "out of memory for the stacks of the threads";
                machine.failed = true;
                return;
            }
            coming.pop_back();
        }
        if (machine.alive.empty()) return;
        if (stretch-- <= 0 || !favourite || favourite->ready.empty()) {
            std::vector<Block*> able;
            for (auto& b : machine.alive)
                if (!b->ready.empty()) able.push_back(b.get());
            long limit = 100000 + 64L * machine.per_block * long(machine.alive.size());
            if (able.empty() || machine.idle > limit) {
                machine.report = deadlock();
                machine.failed = true;
                return;
            }
            favourite = able[random(able.size())];
            stretch = 1 + long(random(random(2) ? 3 : 8 * machine.per_block));
            mood = decltype(mood)(random(3));
        }
        auto& ready = favourite->ready;
        auto by_rank = [](Thread* a, Thread* b) { return a->rank < b->rank; };
        Thread* t = mood == LOWEST    ? *std::min_element(ready.begin(), ready.end(), by_rank)
                    : mood == HIGHEST ? *std::max_element(ready.begin(), ready.end(), by_rank)
                                      : ready[random(ready.size())];
        machine.current = t;
        machine.fuse = 1 + int(random(200));
        emu_switch(&machine.host, t->sp);
        machine.current = nullptr;
        if (machine.failed) return;
        if (memcmp(t->stack, CANARY, sizeof CANARY)) {
            machine.report = too_deep(*t);
            machine.failed = true;
            return;
        }
        if (t->state == READY && random(4) == 0) mood = ANY;  // a thread that polls must not starve its block
        if (t->state == DONE) {
            machine.idle = 0;
            left(*t);
            if (--favourite->live == 0) {
                end(*favourite);
                auto here = [&](auto& b) { return b.get() == favourite; };
                machine.alive.erase(std::find_if(machine.alive.begin(), machine.alive.end(), here));
                favourite = nullptr;
            }
        }
    }
}

static int run(const Launch& launch) {
    machine.launch = launch;
    machine.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
    machine.block = {launch.block[0], launch.block[1], launch.block[2]};
    machine.blocks = machine.grid.x * machine.grid.y * machine.grid.z;
    machine.per_block = machine.block.x * machine.block.y * machine.block.z;
    machine.random.seed(launch.seed);
    machine.idle = 0, machine.failed = false;
    machine.report.clear(), machine.trace.clear();
    for (int i = 0; i < launch.regions; i++) {
        auto begin = reinterpret_cast<uintptr_t>(launch.begins[i]);
        size_t end = begin + launch.sizes[i];
        size_t element = launch.elements[i];
        machine.regions.push_back({launch.names[i], begin, end, element, launch.kinds[i], false, {}});
    }
    schedule();
    for (auto& b : machine.alive)
        if (b) end(*b);
    machine.alive.clear(), machine.regions.clear(), machine.published.clear();
    machine.current = nullptr;
    return machine.failed;
}

}  // namespace emu

// Runs a launch to its end: 0, or 1 with a report. Both texts live until the next launch.
extern "C" __attribute__((visibility("default"))) int
emu_launch(const emu::Launch* launch, const char** report, const char** trace) {
    static std::mutex one_at_a_time;
    std::lock_guard<std::mutex> lock(one_at_a_time);
    int failed = emu::run(*launch);
    *report = emu::machine.report.c_str();
    *trace = emu::machine.trace.c_str();
    return failed;
}
