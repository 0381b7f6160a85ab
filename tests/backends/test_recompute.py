"""recompute_every: the same gradients bit for bit from a tape of every K-th state; memory; refusals."""

import subprocess
import sys

import numpy as np
import pytest

from rnn_from_scratch import backends, backward, cells, forward, init_params
from rnn_from_scratch.backends import native
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem

FORMS = list(cells.forms())
BACKENDS = [
    "reference",
    pytest.param("native", marks=pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")),
]


def assert_same(p, backend, every):
    """Outputs and gradients are bit for bit those of the whole tape."""
    y, state, tape = forward(p.cell, p.params, p.x, **p.options, backend=backend)
    y2, state2, short = forward(p.cell, p.params, p.x, **p.options, backend=backend, recompute_every=every)
    (B, T, _), H = p.x.shape, len(p.params["Wh"])
    assert short.nbytes == p.x.itemsize * B * H * len(state) * -(-T // every) and short.saved is None
    order = slice(None, None, -1) if short.go_backwards else slice(None)
    for whole, kept in zip(tape.states, short.states):
        assert np.array_equal(whole[:, order][:, :-1:every], kept)
    for _ in range(2):  # a tape can be used again
        a, b = backward(tape, p.dy, p.dstate), backward(short, p.dy, p.dstate)
        pairs = [(y, y2), (a.x, b.x), *zip(state, state2), *zip(a.initial_state, b.initial_state)]
        for one, other in [*pairs, *((a.params[k], b.params[k]) for k in a.params)]:
            assert np.array_equal(one, other) and np.isfinite(other).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", FORMS)
def test_every_cell_in_every_situation(name, situation, backend):
    for every in (1, 3, 5, 7, 100):  # K = 1; not dividing T = 7; T; beyond T
        assert_same(problem(CELLS[name], situation, "float32", (6, 7, 3, 19)), backend, every)


@pytest.mark.skipif(not native.available()[0], reason="native is not usable here")
@pytest.mark.parametrize("every", [1, 11])
@pytest.mark.parametrize("sizes", [(90, 41, 4, 96), (1, 30, 40, 130), (3, 26, 64, 160)], ids=str)
@pytest.mark.parametrize("name", ["LSTM", "GRU reset before"])
def test_segments_across_chunks_threads_and_steps_ahead(name, sizes, every):
    """Chunks of D end where segments do not; threads share rows, then units; few rows project x for steps ahead."""
    before = native.num_threads()
    try:
        for threads in (1, 3):
            native.set_num_threads(threads)
            assert_same(problem(CELLS[name], "any mask", "float32", sizes), "native", every)
    finally:
        native.set_num_threads(before)


PEAK = """
import pathlib, sys
import numpy as np
from rnn_from_scratch import backward, cells, forward, init_params

def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

cell, every = cells.LSTM(), int(sys.argv[1]) or None
params = init_params(cell, inputs=8, units=64, rng=0)
x = np.ones((16, 2500, 8), "float32")
dy = np.ones((16, 2500, 64), "float32")
small = forward(cell, params, x[:, :50], backend="native")
backward(small[2], dy[:, :50])
before = peak()
y, _, tape = forward(cell, params, x, backend="native", recompute_every=every)
backward(tape, dy)
print(peak() - before, tape.nbytes)
"""


@pytest.mark.skipif(not native.available()[0] or sys.platform != "linux", reason="native is not usable here, or no /proc")
def test_memory():
    """Of a process: y (10 MB) stays; of the tape (62 MB) the part that backward recomputes at a time."""

    def peak(every):
        done = subprocess.run([sys.executable, "-c", PEAK, str(every)], capture_output=True, text=True, check=True)
        return map(int, done.stdout.split())

    (whole, whole_tape), (short, short_tape) = peak(0), peak(50)
    assert whole_tape == 4 * 16 * 64 * (4 * 2500 + 2 * 2501) and short_tape == 4 * 16 * 64 * 2 * 50
    assert whole > whole_tape
    assert short < whole - 0.8 * whole_tape, (short, whole)


def test_refusals():
    cell = cells.LSTM()
    params, x = init_params(cell, inputs=3, units=4, rng=0), np.zeros((2, 5, 3), "float32")
    for every in (0, -1, True, 2.0, "3"):
        with pytest.raises(ValueError, match=r"recompute_every: expected None or an integer of at least 1, got"):
            forward(cell, params, x, recompute_every=every)
    with pytest.raises(ValueError, match="recompute_every: there is no tape with save=False"):
        forward(cell, params, x, recompute_every=2, save=False)
    if backends.available()["emulated"][0]:
        with pytest.raises(ValueError, match=r"only the backends native and reference recompute, got backend='emulated'"):
            forward(cell, params, x, recompute_every=2, backend="emulated")
    _, _, tape = forward(cell, params, x, recompute_every=2)
    with pytest.raises(ValueError, match="gate: nothing is saved on a tape with recompute_every"):
        tape.gate("f")
