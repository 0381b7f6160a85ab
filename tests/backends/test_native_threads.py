"""Threads of the native backend: the same bits for any number of them; forks, threads that call at once, exits."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from rnn_from_scratch import backends, backward_vjp, cells
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.native import threads as counts
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import CELLS, problem, solve

from ..conftest import ROOT
from ..helpers.second_order import direction, flat, taped

pytestmark = pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")

FORMS = list(cells.forms())
# units divided, rows and units divided, rows and steps divided, the same in several chunks of backward
SIZES = [(1, 20, 20, 200), (4, 20, 8, 200), (50, 9, 6, 40), (70, 40, 5, 67)]


@pytest.fixture(autouse=True)
def default_threads():
    yield
    backends.set_num_threads(None)


def small(p):
    return p._replace(params={name: a * a.dtype.type(0.3) for name, a in p.params.items()})


def run_python(code, **environment):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("situation", ["plain", "scale per gate, any mask"])
@pytest.mark.parametrize("name", FORMS)
def test_the_same_bits_for_any_number_of_threads(name, situation, sizes):
    p = small(problem(CELLS[name], situation, "float32", sizes))
    results = []
    for count in (1, 2, 3, 5, 2):
        backends.set_num_threads(count)
        results.append(solve(p, "native"))
    for other in results[1:]:
        for key, value in results[0].items():
            assert np.isfinite(value).all()
            assert np.array_equal(value, other[key]), key


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMS)
def test_large_weights_divide_the_units_among_threads(name, dtype):
    """Each thread streams its own part of the weights; the bits are those of one thread, which has all of them."""
    sizes = (20, 3, 5, {"SimpleRNN": 810, "LSTM": 430}.get(name, 520) if dtype == "float32" else 590)
    p = problem(CELLS[name], "any mask", dtype, sizes)
    p = p._replace(params={key: a * a.dtype.type(0.05) for key, a in p.params.items()})
    results = []
    for count in (1, 2, 5, 16):
        backends.set_num_threads(count)
        rows, units = native.parts(p.cell, p.params, p.x, len(p.x), 3)
        assert (units > 1) == (count > 1) and (rows == 1 or count > 2), (rows, units, count)
        assert count > 2 or native.parts(p.cell, p.params, p.x, 64, 100)[0] == count  # many rows keep a thread busy
        results.append(solve(p, "native"))
    assert error(results[0]["dWh"], solve(p)["dWh"]) < (1e-5 if dtype == "float32" else 1e-12)
    for other in results[1:]:
        assert all(np.isfinite(value).all() and np.array_equal(value, other[key]) for key, value in results[0].items())


@pytest.mark.parametrize("situation", ["plain", "scale per gate, any mask"])
@pytest.mark.parametrize("name", FORMS)
def test_second_order_has_the_same_bits_for_any_number_of_threads(name, situation):
    for sizes in SIZES[1:3]:
        p = small(problem(CELLS[name], situation, "float32", sizes))
        v, results = direction(p), []
        for count in (1, 2, 5):
            backends.set_num_threads(count)
            results.append(flat(backward_vjp(taped(p, "native"), p.dy, p.dstate, v)))
        for other in results[1:]:
            for key, value in results[0].items():
                assert np.isfinite(value).all()
                assert np.array_equal(value, other[key]), key


@pytest.mark.parametrize("name", ["LSTM", "GRU reset after"])
def test_the_same_bits_over_a_hundred_runs(name):
    p = small(problem(CELLS[name], "any mask", "float32", (8, 12, 6, 48)))
    backends.set_num_threads(3)
    first = solve(p, "native")
    for _ in range(100):
        for key, value in solve(p, "native").items():
            assert np.array_equal(value, first[key]), key


def test_one_row_does_not_depend_on_its_neighbours():
    """The bits of a sequence are the same alone and in a batch: rows are never mixed, whatever tile they fall into."""
    p = small(problem(CELLS["LSTM"], "plain", "float32", (11, 6, 5, 20)))
    y, _, _ = backends.forward(p.cell, p.params, p.x, backend="native")
    for b in range(11):
        alone, _, _ = backends.forward(p.cell, p.params, p.x[b : b + 1], backend="native")
        assert np.array_equal(alone[0], y[b])


def test_callers_at_once():
    backends.set_num_threads(2)
    problems = [small(problem(CELLS[name], "lengths", "float64", (40, 9, 6, 30))) for name in FORMS]
    expected, wrong = [solve(p, "native") for p in problems], []

    def call(i):
        for _ in range(5):
            got = solve(problems[i], "native")
            wrong.extend((i, key) for key, value in expected[i].items() if not np.array_equal(got[key], value))

    callers = [threading.Thread(target=call, args=(i % len(problems),)) for i in range(10)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert not wrong


def test_the_interpreter_runs_on_during_a_call():
    """A call gives up the interpreter lock: another thread counts meanwhile."""
    p = small(problem(CELLS["LSTM"], "plain", "float32", (64, 60, 64, 256)))
    done, ticks = threading.Event(), []

    def call():
        solve(p, "native")
        done.set()

    caller = threading.Thread(target=call)
    caller.start()
    while not done.wait(0.0005):
        ticks.append(1)
    caller.join()
    assert len(ticks) > 3


SETUP = """
import os, sys, threading
import numpy as np
from rnn_from_scratch import backends
from rnn_from_scratch.verify.cases import CELLS, problem, solve
backends.set_num_threads(2)
p = problem(CELLS["LSTM"], "plain", "float32", (40, 20, 8, 64))
first = solve(p, "native")
"""


def test_a_forked_child_computes_too():
    done = run_python(
        SETUP
        + """
def same():
    return all(np.array_equal(a, b) for a, b in zip(first.values(), solve(p, "native").values()))
busy = threading.Thread(target=lambda: [solve(p, "native") for _ in range(50)])
busy.start()                     # the fork happens while the parent's threads work
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if same() and same() else 1)
    children.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children], same())
busy.join()
"""
    )
    assert (done.returncode, done.stdout) == (0, "[0, 0, 0, 0, 0] True\n"), done.stderr


DAEMON = "threading.Thread(target=lambda: [solve(p, 'native') for _ in iter(int, 1)], daemon=True).start()"


@pytest.mark.parametrize("end", ["", "sys.exit(3)", DAEMON])
def test_the_interpreter_exits(end):
    done = run_python(SETUP + end)
    assert done.returncode == (3 if "exit" in end else 0), done.stderr
    assert not done.stderr


def test_environment():
    code = "from rnn_from_scratch import backends; print(backends.num_threads())"
    assert run_python(code, RNN_NUM_THREADS="7").stdout == "7\n"
    assert run_python(code, RNN_NUM_THREADS="", OMP_NUM_THREADS="1,1").stdout == "1\n"
    wrong = run_python(code, RNN_NUM_THREADS="many")
    assert "ValueError: RNN_NUM_THREADS: expected an integer of at least 1, got 'many'" in wrong.stderr
    isa = "from rnn_from_scratch.backends import native; print(native.available())"
    assert run_python(isa, RNN_NATIVE_ISA="generic").stdout == "(True, '')\n"
    assert "RNN_NATIVE_ISA: expected one of generic" in run_python(isa, RNN_NATIVE_ISA="avx9").stdout


def test_number_of_threads():
    backends.set_num_threads(3)
    assert backends.num_threads() == 3
    backends.set_num_threads(None)
    assert backends.num_threads() == counts.default_threads() >= 1
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match="count: expected an integer of at least 1, or None, got"):
            backends.set_num_threads(wrong)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 1 << 20),
        ({"cpu.max": "max 100000"}, 1 << 20),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 1 << 20),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
    ids=str,
)
def test_quota_of_a_container(monkeypatch, files, expected):
    monkeypatch.setattr(counts, "read", lambda file: files.get(str(file).removeprefix("/sys/fs/cgroup/"), ""))
    assert counts.quota() == expected


CORES = """
import os, numpy as np
from rnn_from_scratch import backends, cells, init_params
cell, x = cells.LSTM(), np.zeros((64, 20, 32), "float32")
params = init_params(cell, 32, 64, dtype="float32")
tasks = lambda: set(os.listdir("/proc/self/task"))
def cores_of_workers(count, known):
    backends.set_num_threads(count)
    backends.forward(cell, params, x)
    return {frozenset(os.sched_getaffinity(int(task))) for task in tasks() - known}
known, allowed = tasks(), os.sched_getaffinity(0)
if len(allowed) > 1:
    (cores,) = cores_of_workers(2, known)
    assert len(cores) == len(allowed) - 1 and cores < allowed, (cores, allowed)
assert cores_of_workers(len(allowed) + 1, known) == {frozenset(allowed)}  # more threads than cores
os.sched_setaffinity(0, {min(allowed)})
assert cores_of_workers(2, known) == {frozenset({min(allowed)})}
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux says where a thread may run")
def test_workers_stay_off_their_callers_core():
    done = run_python(CORES, OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
