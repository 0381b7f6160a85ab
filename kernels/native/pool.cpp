#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

void SpinWait::wait() {
    if (++rounds > PAUSES) std::this_thread::yield();
#if defined(__x86_64__)
    else __builtin_ia32_pause();
#endif
}

void Barrier::arrive() {
    const int now = generation.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
        arrived.store(0, std::memory_order_relaxed);
        generation.store(now + 1, std::memory_order_release);
        return;
    }
    for (SpinWait spin; generation.load(std::memory_order_acquire) == now;) spin.wait();
}

namespace {

class Pool {
  public:
    void run(int threads, const std::function<void(int)>& function) {
        std::lock_guard<std::mutex> turn(callers);
        while (int(workers.size()) < threads - 1) {
            const int id = int(workers.size()) + 1;
            workers.emplace_back([this, id, seen = job.load()] { serve(id, seen); });
        }
        keep_off_callers_core(threads);
        {
            std::lock_guard<std::mutex> lock(mutex);
            work = &function;
            wanted = threads;
            job++;
        }
        wake.notify_all();
        function(0);
        {
            std::lock_guard<std::mutex> lock(mutex);
            wanted = 0;  // who has not come yet need not
        }
        for (SpinWait spin; running.load(std::memory_order_acquire) > 0;) spin.wait();
    }

    // A call that still runs finishes first. The turn is never given back: who calls after that waits for the
    // process to end.
    void stop() {
        callers.lock();
        {
            std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        wake.notify_all();
        for (std::thread& worker : workers) worker.join();
    }

  private:
    // If no core is free when a worker wakes up, the system puts it on its caller's, and leaves it there for
    // milliseconds when another one is free again. So workers may run wherever the caller may, but for the
    // core on which it is now.
    void keep_off_callers_core([[maybe_unused]] int threads) {
#if defined(__linux__)
        cpu_set_t allowed;
        const int core = sched_getcpu();
        if (core < 0 || sched_getaffinity(0, sizeof(allowed), &allowed)) return;
        if (CPU_COUNT(&allowed) >= threads) CPU_CLR(core, &allowed);
        if (placed == int(workers.size()) && CPU_EQUAL(&allowed, &cores)) return;
        for (std::thread& worker : workers)
            pthread_setaffinity_np(worker.native_handle(), sizeof(allowed), &allowed);
        placed = int(workers.size()), cores = allowed;
#endif
    }

    void serve(int id, long seen) {
        for (;;) {
            // The next call often comes at once, as backward after forward, and waking up takes longer than a
            // small call. After that sleep: the system wakes a thread on a free core, but leaves one that
            // keeps yielding beside the next caller.
            for (SpinWait spin; job == seen && !spin.exhausted();) spin.wait();
            std::unique_lock<std::mutex> lock(mutex);
            wake.wait(lock, [&] { return stopping || job != seen; });
            if (stopping) return;
            seen = job;
            if (id >= wanted) continue;
            const std::function<void(int)>& function = *work;
            running.fetch_add(1, std::memory_order_relaxed);
            lock.unlock();
            function(id);
            running.fetch_sub(1, std::memory_order_release);
        }
    }

#if defined(__linux__)
    cpu_set_t cores;  // where the first `placed` workers may run
    int placed = 0;
#endif
    std::mutex callers, mutex;
    std::condition_variable wake;
    std::vector<std::thread> workers;
    const std::function<void(int)>* work = nullptr;
    int wanted = 0;
    std::atomic<long> job{0};
    bool stopping = false;
    std::atomic<int> running{0};  // workers in `work`
};

// Threads of an OpenMP runtime, which wait in loops between the operations of whoever else uses it, and would
// keep the pool's off their cores. So they do the pool's work too.
struct Team {
    void (*parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel
    int (*size)();                                                  // omp_get_num_threads

    // False, and nothing was run, if the runtime has fewer threads to give.
    bool run(int threads, const std::function<void(int)>& function) const {
        struct Task {
            const std::function<void(int)>& function;
            const int threads;
            int (*size)();
            std::atomic<int> next{0};
        } task{function, threads, size};
        const auto serve = [](void* p) {
            Task& task = *static_cast<Task*>(p);
            if (task.size() < task.threads) return;
            const int id = task.next.fetch_add(1, std::memory_order_relaxed);
            if (id < task.threads) task.function(id);
        };
        parallel(serve, &task, unsigned(threads), 0);
        return task.next.load(std::memory_order_relaxed) > 0;
    }
};

// What outlives a call. It is never destroyed. A forked child has none of its parent's threads, and they may
// have held the locks: it leaves the old Shared alone and makes its own.
struct Shared {
    Pool pool;
    std::atomic<const Team*> team{nullptr};
    std::mutex mutex;
    std::vector<Block> free;
    size_t expected = 0;  // bytes that the largest call so far has used

    static Shared*& current() {
        static Shared* shared = [] {
            pthread_atfork(nullptr, nullptr, [] { current() = new Shared; });
            std::atexit([] { current()->pool.stop(); });
            return new Shared;
        }();
        return shared;
    }
};

constexpr size_t PAGE = 4096, HUGE_PAGE = size_t(2) << 20;
constexpr size_t KEEP = size_t(256) << 20;  // bytes: a larger block goes back to the system at once

}  // namespace

void run_on_threads(int threads, const std::function<void(int)>& work) {
    if (threads == 1) return work(0);
    Shared* shared = Shared::current();
    const Team* team = shared->team.load(std::memory_order_acquire);
    if (!team || !team->run(threads, work)) shared->pool.run(threads, work);
}

// From now on the work is done on the threads of an OpenMP runtime, of which this is GOMP_parallel and
// omp_get_num_threads; null: on the pool's own.
extern "C" __attribute__((visibility("default"))) void rnn_use_team(void* parallel, void* size) {
    const Team* team = nullptr;
    if (parallel) team = new Team{decltype(Team::parallel)(parallel), decltype(Team::size)(size)};
    Shared::current()->team.store(team, std::memory_order_release);
}

Scratch::Scratch() {
    Shared* shared = Shared::current();
    std::lock_guard<std::mutex> lock(shared->mutex);
    if (shared->free.empty()) return;
    blocks.push_back(std::move(shared->free.back()));
    shared->free.pop_back();
    total = blocks.back().size;
}

char* Scratch::take_bytes(size_t size) {
    size = (size + 63) / 64 * 64;
    if (blocks.empty() || used + size > blocks.back().size) {
        const size_t expected = std::max(size, Shared::current()->expected);
        void* p = nullptr;
        if (posix_memalign(&p, expected < HUGE_PAGE ? PAGE : HUGE_PAGE, expected)) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        // a wish: big weights lie in thousands of small pages
        madvise(p, expected / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
        blocks.push_back({std::unique_ptr<char, Block::Free>(static_cast<char*>(p)), expected});
        used = 0;
        total += expected;
    }
    used += size;
    return blocks.back().memory.get() + used - size;
}

// Keeps one block. A call that needed several leaves none, and the next one begins with a block for all of
// it.
Scratch::~Scratch() {
    Shared* shared = Shared::current();
    std::lock_guard<std::mutex> lock(shared->mutex);
    if (total > KEEP) return;
    if (blocks.size() == 1) shared->free.push_back(std::move(blocks.back()));
    else shared->expected = std::max(shared->expected, total);
}
