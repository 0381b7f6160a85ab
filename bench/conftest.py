"""Options of the suites, which cases run in which mode, and what every row says about where it was measured."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from . import cases, interleaved, machine, peers, steady

OVER = "the time given with --within is over"
MARKS = {
    "quick": "timed by `rnn-from-scratch bench --quick`",
    "smoke": "run once, untimed, with --benchmark-disable",
}
ASKED = {"cell": "of this cell", "shape": "of this shape", "peer": "beside this peer", "what": "of this pass"}


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("rnn_from_scratch")
    group.addoption("--quick", action="store_true", help="only the rows of `rnn-from-scratch bench --quick`")
    group.addoption("--seconds", type=float, default=0.6, help="time spent on one case by each process of its own (default 0.6)")
    group.addoption("--within", type=float, help="seconds after which the rows that are left are skipped")
    group.addoption("--rounds", type=int, default=3, help="processes of us and of a peer (default 3)")
    group.addoption("--turns", type=int, default=3, help="turns that two such processes take (default 3)")
    for name, meaning in ASKED.items():
        group.addoption(f"--{name}", help=f"only rows {meaning}")


def pytest_configure(config: Any) -> None:
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if shape := config.getoption("shape"):
        cases.add(shape)


def pytest_sessionstart(session: Any) -> None:
    if (within := session.config.getoption("within")) is not None:
        interleaved.deadline = time.monotonic() + within


def pytest_runtest_setup(item: Any) -> None:
    if interleaved.deadline is not None and time.monotonic() > interleaved.deadline:
        pytest.skip(OVER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Any:
    try:
        return (yield)
    except subprocess.TimeoutExpired:
        pytest.skip(OVER)


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """What was asked for; of it, --benchmark-disable keeps the smoke rows, --quick the quick ones if there are any."""
    kept = [item for item in items if is_asked(item, {name: config.getoption(name) for name in ASKED})]
    if config.getoption("benchmark_disable"):
        kept = [item for item in kept if item.get_closest_marker("smoke")]
    elif config.getoption("quick"):
        kept = [item for item in kept if item.get_closest_marker("quick")] or kept
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def is_asked(item: Any, asked: dict[str, str | None]) -> bool:
    """Whether a row has the cell, shape, peer and pass that were asked for (None: any)."""
    row = {"what": cases.TRAIN, **item.callspec.params}
    if "axis" in row:  # a point of a curve stands beside no peer
        row["shape"] = ",".join(map(str, cases.SWEEPS[row["axis"]][row["at"]]))
    else:
        row["peer"] = row.get("impl")
    return all(value is None or row.get(name) == value for name, value in asked.items())


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)  # the name of somebody's computer is nobody's business
    ours = cases.ours()
    machine_info.update(machine.facts(), ours=ours, isa=machine.isa(ours), backends=cases.timed_backends(), load=steady.load())


@pytest.fixture
def seconds(request: Any) -> float:
    return 0.0 if request.config.getoption("benchmark_disable") else request.config.getoption("seconds")


@pytest.fixture
def rounds(request: Any) -> int:
    return 1 if request.config.getoption("benchmark_disable") else request.config.getoption("rounds")


@pytest.fixture
def turns(request: Any) -> int:
    return 1 if request.config.getoption("benchmark_disable") else request.config.getoption("turns")


@pytest.fixture
def describe(benchmark: Any, seconds: float) -> Any:
    """describe(suite, impl, cell, shape, what, **more) writes a row's extra_info, once it has been timed."""
    watch = steady.Watch()

    def write(suite: str, impl: str, cell: str, shape: str, what: str, **more: Any) -> None:
        if benchmark.disabled:
            return
        operations = cases.flops(cell, shape, what)
        ms = benchmark.stats.stats.median * 1e3
        row: dict[str, Any] = {"suite": suite, "impl": impl, "cell": cell, "shape": shape, "sizes": cases.sizes(shape)}
        row.update({"pass": what, "ms": ms, "gflop": operations / 1e9, "gflops": operations / ms / 1e6})
        row.update(isa=machine.isa(impl), **machine.facts())
        if "unsteady" not in more:  # it was timed in this process
            row.update(steady.verdict_fields(steady.spread_of_times(benchmark.stats.stats.data), watch.waited()))
        if suite == "sequence":
            row.update(interleaved.share_of_bound((cell, shape, what), ms, seconds))
        benchmark.extra_info.update(row, **more)

    return write


@pytest.fixture
def installed(request: Any) -> None:
    """Skips a row whose peer is not installed, and says what is."""
    if reason := peers.missing(request.getfixturevalue("impl")):
        pytest.skip(reason)
