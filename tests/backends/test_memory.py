"""Blocks are lent once at a time, come back when nothing looks at them, and are not hoarded."""

import gc
import os
import threading

import numpy as np
import pytest

from rnn_from_scratch import backward, cells, forward
from rnn_from_scratch.backends.native import memory
from rnn_from_scratch.verify.cases import problem

SIZE = 1 << 20


@pytest.fixture(autouse=True)
def nothing_idle():
    gc.collect()
    memory.idle.clear()
    yield
    memory.idle.clear()


def test_a_block_comes_back_when_the_last_view_is_gone():
    a = memory.acquire(SIZE)
    start, view = a.ctypes.data, np.ndarray((4, 5), "float64", a, 64)[1:, ::2].T
    del a
    assert not memory.idle and memory.acquire(SIZE).ctypes.data != start
    memory.idle.clear()
    del view
    assert len(memory.idle) == 1
    again = memory.acquire(SIZE - 100)  # a little smaller: the same block
    assert again.ctypes.data == start and again.size == SIZE - 100 and not memory.idle


def test_two_at_once_do_not_touch():
    many = [memory.acquire(SIZE) for _ in range(5)]
    for k, a in enumerate(many):
        a[:] = k
    assert all(np.all(a == k) for k, a in enumerate(many))
    del many, a
    assert len(memory.idle) == 5


def test_no_more_is_kept_than_allowed(monkeypatch):
    monkeypatch.setattr(memory, "KEEP", 4 * SIZE)
    held = [memory.acquire(SIZE) for _ in range(9)]
    last = held[-1].ctypes.data
    while held:
        held.pop(0)
    assert sum(block.size for block in memory.idle) == 4 * SIZE
    assert memory.idle[-1].ctypes.data == last
    big = memory.acquire(8 * SIZE)
    del big
    assert sum(block.size for block in memory.idle) <= 4 * SIZE


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # of JAX, if a test before this one has imported it
def test_threads_and_a_forked_child():
    def work():
        for _ in range(200):
            a, b = memory.acquire(SIZE), memory.acquire(2 * SIZE)
            a[:8], b[:8] = 1, 2
            assert a[:8].sum() == 8 and b[:8].sum() == 16

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    with memory.lock:
        child = os.fork()
        if child == 0:
            a = memory.acquire(SIZE)
            os._exit(int(a.size != SIZE))
    assert os.waitpid(child, 0)[1] == 0
    for t in threads:
        t.join()
    addresses = [block.ctypes.data for block in memory.idle]
    assert len(set(addresses)) == len(addresses)


def test_results_outlive_the_calls_after_them():
    """y, tape and gradients stay as they were, whatever runs later."""
    p = problem(cells.LSTM(), sizes=(32, 20, 16, 64), dtype="float32")
    y, state, tape = forward(p.cell, p.params, p.x, p.options["initial_state"], backend="native")
    grads = backward(tape, p.dy, p.dstate)
    arrays = [y, *state, *tape.states, tape.saved, grads.x, *grads.params.values(), *grads.initial_state]
    copies = [a.copy() for a in arrays]
    for _ in range(3):
        _, _, other = forward(p.cell, p.params, -p.x, backend="native")
        backward(other, 2 * p.dy)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, copies))
    part = y[:, 3]
    expected = part.copy()
    del y, tape, grads, arrays, state
    for _ in range(3):
        forward(p.cell, p.params, -p.x, backend="native")
    assert np.array_equal(part, expected)
