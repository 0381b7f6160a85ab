"""One body of a property, tried on a few inputs in the quick tests and on 2,000 in the check tier."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

few_and_many = pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.check)])
SLOW = [HealthCheck.too_slow, HealthCheck.nested_given]


def tried(count: int, inputs: SearchStrategy[Any], body: Callable[[Any], None]) -> None:
    """body(value) for `count` values; what fails is made small and told."""

    @given(inputs)
    @settings(max_examples=count, deadline=None, suppress_health_check=SLOW)
    def run(value: Any) -> None:
        body(value)

    run()
