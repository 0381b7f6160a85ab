// The machine that runs one launch: its threads, blocks, memory and clocks. One launch at a time in a
// process.
#pragma once
#include <map>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "interface.h"

namespace emu {

// What a thread knows of the others: for thread number i, everything it did up to its interval (*clock)[i].
// Shared by all threads that left one barrier together; null is "nothing".
using Clock = std::shared_ptr<const std::vector<uint32_t>>;

struct Site {
    const char* file;
    int line;
};

struct Block;
enum State { READY, AT_BARRIER, AT_WARP, DONE };

struct Operands {  // of an mma.sync: what one lane brings
    Format format;
    int depth;
    const uint32_t *a, *b;
    float* sum;
};

struct Thread {
    Dim index;
    Block* block;
    uint32_t number;        // in the grid
    unsigned rank, lane, warp;  // in the block
    State state = READY;
    Site site{};            // where it waits
    const void* polled = nullptr;  // its last atomic or volatile access
    long accesses = 0;
    char* stack = nullptr;
    void* sp = nullptr;
    unsigned mask = 0;      // of the warp exchange it waits in
    uint64_t value = 0, result = 0;
    int source = 0;
    bool ordered = false;
    Operands* operands = nullptr;
    uint32_t interval = 1;  // grows with everything that others can be ordered after
    // known now; at its last fence; read by relaxed atomics and known from the next fence on
    Clock seen, released, pending;
};

struct Access {
    uint32_t thread = 0, interval = 0;  // interval 0: none
    bool atomic = false;
    const void* pc = nullptr;
};

struct Cell {  // the last accesses to one element
    Access write, read;
    std::unique_ptr<std::vector<Access>> reads;  // further ones, not ordered among each other
};

struct Region {
    static constexpr size_t PAGE = 64;
    std::string name;
    uintptr_t begin, end;
    size_t element;
    char kind;  // of an element, as NumPy writes it: f i u, V bfloat16
    bool shared;
    std::unordered_map<size_t, std::unique_ptr<Cell[]>> pages;  // those that somebody touched
    Cell& cell(size_t index) {
        auto& page = pages[index / PAGE];
        if (!page) page.reset(new Cell[PAGE]);
        return page[index % PAGE];
    }
};

struct Block {
    Dim index;
    unsigned number, live, waiting = 0;
    int count = 0, counted = 0;  // of __syncthreads_count
    std::vector<Thread> threads;
    std::vector<Thread*> ready;
    std::map<int, Region> arrays;  // shared memory: -1 is the dynamic one
    std::vector<std::vector<char>> storage;
};

struct Launch {  // as the host fills it in
    const char* kernel;
    void (*call)(void**);
    void** arguments;
    unsigned grid[3], block[3], shared, seed, resident;  // resident: how many threads are alive at once
    int regions;
    const char** names;
    void** begins;
    size_t* sizes;
    size_t* elements;
    const char* kinds;
    int traced;  // the number of the thread whose accesses are told, or -1
};

struct Machine {
    Launch launch;
    Dim grid, block;
    unsigned blocks = 0, per_block = 0;
    std::vector<Region> regions;
    std::vector<std::unique_ptr<Block>> alive;
    std::vector<char*> stacks;
    std::map<uintptr_t, Clock> published;  // by the last release to each address
    std::mt19937 random;
    Thread* current = nullptr;
    void* host = nullptr;
    int fuse = 0;    // accesses until the current thread is interrupted
    long idle = 0;   // polls since anything changed
    bool failed = false;
    std::string report, trace;
};

extern Machine machine;
constexpr size_t STACK = 64 << 10;
constexpr long FOR_EVER = 5'000'000;  // accesses of one thread in one launch

[[noreturn]] void fail(const std::string& what);  // ends the launch with this report; called on a fibre
[[noreturn]] void overflow(const Thread& thread);
void yield();
void wait(State state, Site site);
void release(Thread& thread);
void left(const Thread& thread);  // a lane has left: who waits for it waits in vain
std::string name(const Thread& thread);
std::string name(Site site);
std::string place(const void* pc);  // a mark that the host turns into file:line
uint64_t random(uint64_t below);

// barriers.cpp
// does it come before all that the thread does from now on?
bool ordered(const Access& access, const Thread& thread);

// memory.cpp
void finish_trace(const Thread& thread);

}  // namespace emu
