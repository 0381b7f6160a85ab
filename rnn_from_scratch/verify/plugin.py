"""A pytest plugin: write pytest_plugins = ["rnn_from_scratch.verify.plugin"] in conftest.py, and tests have the fixture."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from .functions import check_function


@pytest.fixture
def assert_gradients(request: pytest.FixtureRequest) -> Callable[..., None]:
    """assert_gradients(forward_fn, backward_fn, inputs, **options) as in rnn_from_scratch.verify, for one test.

    The seed comes from the test's name unless one is given: tests differ, runs do not. The first lines of the report make the
    assertion's message; the whole of it is a section "gradients" of pytest's output, and the properties of a JUnit file.
    """

    def check(forward_fn: Callable[..., Any], backward_fn: Callable[..., Any], inputs: Any, **options: Any) -> None:
        __tracebackhide__ = True
        options.setdefault("seed", zlib.crc32(request.node.nodeid.encode()))
        report = check_function(forward_fn, backward_fn, inputs, **options)
        if report.ok:
            return
        request.node.user_properties.append(("gradients", str(report)))
        request.node.add_report_section("call", "gradients", str(report))
        raise AssertionError("\n".join([f"gradients are {report.headline}", *report.culprit_lines()]))

    return check
