"""Us beside each peer: a process of ours and a process of theirs, in turn; the ratio is taken pair by pair."""

from functools import partial

import pytest

from . import cases, interleaved, peers
from .interleaved import clock

OURS = cases.ours()
PEERS = [name for name in peers.PEERS if name not in cases.backends.BACKENDS]
PEERS += [name for name in cases.timed_backends() if name != OURS]
QUICK = {  # cell, shape -> peers of forward+backward; the other passes of these rows are not quick
    **{(cell, "char"): ("gemm", "torch", "keras") for cell in cases.PLAIN},
    ("LSTM", "mnist"): ("gemm", "torch", "keras"),
    ("LSTM", "char"): ("gemm", "torch", "keras", "keras-xla", "blocklstm", "reference"),
    ("LSTM", "latency"): ("gemm", "torch", "keras"),
}
QUICK_INFERENCE = {(cell, "char", peer) for cell in ("LSTM", "GRU") for peer in ("torch", "onnxruntime")}
SMOKE = {("LSTM", "series", peer, cases.TRAIN) for peer in PEERS} | {("LSTM", "series", "onnxruntime", "inference")}


INFERENCE = ("torch", "onnxruntime", "gemm")  # the others have nothing of their own for it


def beside(cell, what):
    """The peers of a cell in a pass. XLA compiles for many seconds: the plain cells alone."""
    p = cases.problem(cell, "load")
    names = INFERENCE if what == "inference" else [name for name in PEERS if name != "keras-xla" or cell in cases.PLAIN]
    return [name for name in names if not peers.PEERS[name].cannot(p, what)]


def rows():
    for cell in cases.EVERY:
        peers_of = {what: beside(cell, what) for what in (cases.TRAIN, "inference")}
        for shape in cases.SIX:
            for what, names in peers_of.items():
                for impl in names:
                    quick = impl in QUICK.get((cell, shape), ()) if what == cases.TRAIN else (cell, shape, impl) in QUICK_INFERENCE
                    marks = [pytest.mark.quick] * quick
                    marks += [pytest.mark.smoke] * ((cell, shape, impl, what) in SMOKE)
                    yield pytest.param(impl, cell, shape, what, marks=marks, id=f"{impl}-{cell}-{shape}-{what}")


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize(("impl", "cell", "shape", "what"), [*rows()])
def test_peer(installed, benchmark, describe, seconds, rounds, turns, impl, cell, shape, what):
    job = (cell, shape, what)
    benchmark.group = f"{cell}, {shape}, {what}, in turn"
    ours, theirs = (partial(interleaved.Waiting, name, job, seconds / turns) for name in (OURS, impl))
    pairs = interleaved.in_turn(ours, theirs, rounds, turns)
    benchmark.pedantic(clock.play(pairs.theirs), rounds=rounds * turns)
    describe("peer", impl, cell, shape, what, ours=OURS, **pairs.fields())
