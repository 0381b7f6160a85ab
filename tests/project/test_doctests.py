"""The examples in docstrings run as they are written, what a newcomer calls first has one, and public functions name their arguments."""

import doctest
import inspect
import re
from importlib import import_module

import pytest

import rnn_from_scratch
from rnn_from_scratch import backends, verify
from rnn_from_scratch.interop import conventions

FIRST = {  # what a newcomer calls first
    "init_params": rnn_from_scratch.init_params,
    "forward": rnn_from_scratch.forward,
    "backward": rnn_from_scratch.backward,
    "truncated_bptt": rnn_from_scratch.truncated_bptt,
    "Stepper": rnn_from_scratch.Stepper,
    "jvp": rnn_from_scratch.jvp,
    "backward_vjp": rnn_from_scratch.backward_vjp,
    "hvp": rnn_from_scratch.hvp,
    "gradcheck": rnn_from_scratch.gradcheck,
    "assert_gradcheck": verify.assert_gradcheck,
    "check_function": verify.check_function,
    "assert_gradients": verify.assert_gradients,
    "available": backends.available,
    "choose": backends.choose,
}
MORE = {
    "set_num_threads": backends.set_num_threads,
    "by_name": rnn_from_scratch.cells.by_name,
    "to_framework": conventions.to_framework,
}


def failures(name, function):
    """What the examples of a function print otherwise than its docstring says; and that it has none."""
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})  # an example imports what it uses
    said = [] if test.examples else [f"{name}: no example"]
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return said


@pytest.mark.parametrize("name", [*FIRST, *MORE])
def test_examples_in_docstrings(name):
    assert failures(name, (FIRST | MORE)[name]) == []


def test_a_wrong_example_and_a_missing_one_are_seen():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    def silent():
        """No example."""

    assert "Expected:\n    3\nGot:\n    2" in "".join(failures("wrong", wrong))
    assert failures("silent", silent) == ["silent: no example"]


PUBLIC = ["", ".backends", ".cells", ".interop.conventions", ".verify"]


def unnamed(function):
    """The arguments that a docstring does not speak of."""
    return [a for a in inspect.signature(function).parameters if not re.search(rf"\b{a}\b", function.__doc__ or "")]


def public_functions():
    for name in PUBLIC:
        module = import_module(f"rnn_from_scratch{name}")
        for member in module.__all__ if hasattr(module, "__all__") else vars(module):
            value = getattr(module, member)
            if inspect.isfunction(value) and not member.startswith("_"):
                yield pytest.param(value, id=f"{name}.{member}")


@pytest.mark.parametrize("function", list(public_functions()))
def test_docstrings_name_every_argument(function):
    assert (function.__doc__ or "").strip()
    assert unnamed(function) == []


def test_an_argument_that_is_not_named_is_seen():
    def add(left, right):
        """Adds right to something."""

    assert unnamed(add) == ["left"]
