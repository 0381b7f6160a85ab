// Threads and scratch memory, which the calls share.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

// Waits in a loop: a while without giving up the core, then giving it up, because a neighbour may need it, at
// every turn.
class SpinWait {
  public:
    void wait();
    bool exhausted() const { return rounds >= PAUSES; }

  private:
    static constexpr int PAUSES = 4000;  // about 0.1 ms
    int rounds = 0;
};

// All `size` threads must arrive before any of them goes on. It has one cache line, and for itself: with two
// lines two threads took 190 ns in an empty loop where they take 70.
class alignas(64) Barrier {
  public:
    explicit Barrier(int size) : size(size) {}
    void arrive();

  private:
    const int size;
    std::atomic<int> arrived{0}, generation{0};
};

// One stage of a call: pieces of work that the threads take as they come free. All are done before any thread
// goes on. A thread whose core is busy with something else takes fewer, and nobody waits for one that has not
// come yet.
class Stage {
  public:
    template <class F> void run(int count, F work) {
        for (int piece; (piece = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
            work(piece);
            done.fetch_add(1, std::memory_order_release);
        }
        for (SpinWait spin; done.load(std::memory_order_acquire) < count;) spin.wait();
    }

  private:
    std::atomic<int> next{0}, done{0};
};

// Runs work(0) on the calling thread, and at the same time work(1), ..., work(threads - 1) on others, unless
// work(0) is over before they come. Callers take turns. The threads start on first use, start anew in a
// forked child, and are joined at exit. Where rnn_use_team was called, threads of that runtime do the work,
// if it has as many to give. work must not throw. Throws std::system_error if a thread cannot be
// started.
void run_on_threads(int threads, const std::function<void(int)>& work);

struct Block {
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    std::unique_ptr<char, Free> memory;
    size_t size = 0;
};

// Scratch memory, aligned to 64 bytes. When the call is over it is kept for the next one: fresh pages cost
// more than many a call. Throws std::bad_alloc.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    template <class Value> Value* take(ptrdiff_t count) {
        return reinterpret_cast<Value*>(take_bytes(size_t(count) * sizeof(Value)));
    }

  private:
    char* take_bytes(size_t size);
    std::vector<Block> blocks;
    size_t used = 0, total = 0;  // bytes of the last block, and of all
};
