"""Us beside each peer: a process of ours, a process of theirs, in turn; the ratio is taken pair by pair."""

import pytest

from . import cases, peers, turns
from .turns import clock

OURS = cases.ours()
PEERS = [name for name in peers.PEERS if name not in cases.backends.BACKENDS]
PEERS += [name for name in cases.timed_backends() if name != OURS]
QUICK = {  # cell, shape -> peers of forward+backward; the other passes of these rows are not quick
    ("LSTM", "mnist"): ("gemm", "torch", "keras"),
    ("LSTM", "char"): ("gemm", "torch", "keras", "keras-xla", "blocklstm", "reference"),
    ("LSTM", "latency"): ("gemm", "torch", "keras"),
    ("GRU", "char"): ("gemm", "torch", "keras"),
    ("SimpleRNN", "char"): ("gemm", "torch", "keras"),
}
QUICK_INFERENCE = {(cell, "char", peer) for cell in ("LSTM", "GRU") for peer in ("torch", "onnxruntime")}
SMOKE = {("LSTM", "series", peer, cases.TRAIN) for peer in PEERS} | {("LSTM", "series", "onnxruntime", "inference")}


def rows():
    for cell in cases.EVERY:
        for shape in cases.SIX:
            for what in (cases.TRAIN, "inference"):
                for impl in PEERS:
                    if peers.PEERS[impl].cannot(cases.problem(cell, "load"), what):
                        continue
                    quick = impl in QUICK.get((cell, shape), ()) if what == cases.TRAIN else (cell, shape, impl) in QUICK_INFERENCE
                    marks = [pytest.mark.quick] * quick
                    marks += [pytest.mark.smoke] * ((cell, shape, impl, what) in SMOKE)
                    yield pytest.param(impl, cell, shape, what, marks=marks, id=f"{impl}-{cell}-{shape}-{what}")


@pytest.mark.benchmark(timer=clock)
@pytest.mark.parametrize(("impl", "cell", "shape", "what"), [*rows()])
def test_peer(installed, benchmark, describe, seconds, rounds, impl, cell, shape, what):
    job, ours, theirs = (cell, shape, what), [], []
    benchmark.group = f"{cell}, {shape}, {what}, in turn"
    benchmark.pedantic(
        lambda: theirs.append(turns.turn(impl, job, seconds)),
        setup=lambda: ours.append(turns.turn(OURS, job, seconds)),
        rounds=rounds,
    )
    ratio = turns.paired_ratio(theirs, ours)
    describe("peer", impl, cell, shape, what, ours=OURS, ours_ms=ours, theirs_ms=theirs, ratio=ratio)
