"""Options of the suites, which cases run in which mode, and what every row says about where it was measured."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from . import cases, interleaved, machine, peers

OVER = "the time given with --within is over"
MARKS = {
    "quick": "timed by `rnn-from-scratch bench --quick`",
    "smoke": "run once, untimed, with --benchmark-disable",
}


def pytest_addoption(parser: Any) -> None:
    group = parser.getgroup("rnn_from_scratch")
    group.addoption("--quick", action="store_true", help="only the rows of `rnn-from-scratch bench --quick`")
    group.addoption("--seconds", type=float, default=0.6, help="time spent on one case by each process of its own (default 0.6)")
    group.addoption("--within", type=float, help="seconds after which the rows that are left are skipped")
    group.addoption("--rounds", type=int, default=3, help="turns that we and a peer take (default 3)")


def pytest_configure(config: Any) -> None:
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


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
    """--benchmark-disable keeps the smoke rows, --quick the quick ones."""
    wanted = "smoke" if config.getoption("benchmark_disable") else "quick" if config.getoption("quick") else None
    if wanted:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(wanted) is None])
        items[:] = [item for item in items if item.get_closest_marker(wanted)]


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)  # the name of somebody's computer is nobody's business
    ours = cases.ours()
    machine_info.update(machine.facts(), ours=ours, isa=machine.isa(ours), backends=cases.timed_backends())


@pytest.fixture
def seconds(request: Any) -> float:
    return 0.0 if request.config.getoption("benchmark_disable") else request.config.getoption("seconds")


@pytest.fixture
def rounds(request: Any) -> int:
    return request.config.getoption("rounds")


@pytest.fixture
def describe(benchmark: Any, seconds: float) -> Any:
    """describe(suite, impl, cell, shape, what, **more) writes a row's extra_info, once it has been timed."""

    def write(suite: str, impl: str, cell: str, shape: str, what: str, **more: Any) -> None:
        if benchmark.disabled:
            return
        operations = cases.flops(cell, shape, what)
        ms = benchmark.stats.stats.median * 1e3
        row: dict[str, Any] = {"suite": suite, "impl": impl, "cell": cell, "shape": shape, "sizes": cases.sizes(shape)}
        row.update({"pass": what, "ms": ms, "gflop": operations / 1e9, "gflops": operations / ms / 1e6})
        row.update(isa=machine.isa(impl), **machine.facts())
        if suite == "sequence":
            row["bound_ms"] = interleaved.bound((cell, shape, what), seconds)
            row["share"] = row["bound_ms"] / ms
        benchmark.extra_info.update(row, **more)

    return write


@pytest.fixture
def installed(request: Any) -> None:
    """Skips a row whose peer is not installed, and says what is."""
    if reason := peers.missing(request.getfixturevalue("impl")):
        pytest.skip(reason)
