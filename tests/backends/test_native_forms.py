"""Which cells the native library runs: it says so itself, by name. Never a wrong number: not for a cell without a kernel, not with
the list of forms in another order, not beside newer sources, not for a user's cell that looks like ours.
"""

import itertools
import re
import shutil
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest

from rnn_from_scratch import backends, cells, forward
from rnn_from_scratch.backends import native
from rnn_from_scratch.backends.forms import cxx_type
from rnn_from_scratch.backends.native import loader
from rnn_from_scratch.cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS
from rnn_from_scratch.measure import EXACT, compare
from rnn_from_scratch.verify.cases import CELLS, SITUATIONS, problem, solve

from ..helpers import native_build
from ..helpers.native_build import CXX

pytestmark = pytest.mark.skipif(not native.available()[0], reason=f"native: {native.available()[1]}")


@dataclass(frozen=True)
class WithoutKernel(cells.LSTM):
    """A cell that was just put into the table: its c is another one."""

    def forward(self, k, xg, hg, s_prev, saved, p):
        (h, c), saved = super().forward(k, xg, hg, s_prev, saved, p)
        return (h, c + 1), saved


@pytest.fixture(autouse=True)
def not_warned_yet():
    backends.warn_once.cache_clear()
    yield
    backends.warn_once.cache_clear()


def assert_reference(p, reason):
    """auto takes the reference, has its numbers, and says once why; native by name refuses."""
    name, told = backends.choose(p.cell, p.params, p.x)
    assert name == "reference" and re.search(reason, told), told
    with pytest.warns(RuntimeWarning, match=reason) as caught:
        results = [solve(p, "auto"), solve(p, "auto")]
    assert len(caught) == 1
    truth = solve(p)
    for result in results:
        assert all(np.array_equal(result[key], value) for key, value in truth.items())
    with pytest.raises(ValueError, match=rf"backend: .*{reason}"):
        forward(p.cell, p.params, p.x, backend="native")


def test_a_class_in_the_table_without_a_kernel(monkeypatch):
    monkeypatch.setitem(cells.CELLS, "without_kernel", WithoutKernel)
    assert not native.supports(WithoutKernel())
    for seed in range(3):
        backends.warn_once.cache_clear()
        assert_reference(
            problem(WithoutKernel(), "any mask", seed=seed),
            r"native-.*\.so has no kernel for WithoutKernel<Tanh, Sigmoid>: install the package again",
        )


def test_an_old_library_beside_newer_sources(tmp_path):
    kernels = native_build.copy_of_kernels(tmp_path)
    shutil.copy(loader.path("generic"), kernels)
    p = problem(cells.LSTM(), "any mask", "float32")
    with native_build.in_use(kernels):
        assert backends.choose(p.cell, p.params, p.x).name == "native"
    header = kernels / "cells/lstm.h"
    text = header.read_text()
    header.write_text(text.replace("V c = f * c_prev + i * g;", "V c = (1 - i) * c_prev + i * g;"))
    assert header.read_text() != text
    reason = r"native-generic\.so was built from other sources: install the package again"
    with native_build.in_use(kernels):
        assert_reference(p, reason)
        assert re.fullmatch(reason, native.available()[1])
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is lost for a call that no library could run
            forward(p.cell, {name: a.astype(complex) for name, a in p.params.items()}, np.ones(p.x.shape, complex))
    header.write_text(text)
    with native_build.in_use(kernels):
        assert backends.choose(p.cell, p.params, p.x).name == "native"


@pytest.mark.check
@pytest.mark.skipif(shutil.which(CXX) is None, reason=f"no compiler {CXX}")
def test_the_list_of_forms_in_another_order(tmp_path):
    kernels = native_build.copy_of_kernels(tmp_path)
    file = kernels / "cells/forms.h"
    lines = file.read_text().splitlines()
    rows = [line for line in lines if line.startswith("FORM")]
    file.write_text("\n".join([*(line for line in lines if line not in rows), *reversed(rows), ""]))
    native_build.build(kernels, "-O1")
    with native_build.in_use(kernels):
        for name, situation in itertools.product(CELLS, SITUATIONS):
            p = problem(CELLS[name], situation)
            truth = solve(p)
            worst = compare(solve(p, "native"), truth, dict.fromkeys(truth, EXACT))
            assert worst[1] <= worst[2], (name, situation, worst)


def test_the_library_has_every_form_of_the_table_and_no_other():
    expected = set()
    for default, phi, sigma in itertools.product(cells.forms().values(), ACTIVATIONS, RECURRENT_ACTIVATIONS):
        recurrent = {"recurrent_activation": sigma} if hasattr(default, "recurrent_activation") else {}
        cell = replace(default, activation=phi, **recurrent)
        assert native.supports(cell), cell
        expected.add(cxx_type(cell))
    assert sorted(native.forms()) == sorted(expected)


def namesake():
    @dataclass(frozen=True)
    class LSTM(cells.LSTM):
        pass

    return LSTM


class Derived(cells.LSTM):
    pass


@pytest.mark.parametrize("users", [Derived, namesake()])
def test_a_users_cell_is_never_taken_for_ours(users):
    forward(cells.LSTM(), (p := problem(cells.LSTM())).params, p.x, backend="native")  # ours is known already
    p = p._replace(cell=users())
    assert not native.supports(p.cell)
    assert backends.choose(p.cell, p.params, p.x) == (
        "reference",
        f"native knows the package's own cells only, and {users.__name__} is not one of them",
    )
    assert forward(p.cell, p.params, p.x)[2].backend == "reference"
    with pytest.raises(ValueError, match=rf"backend: native runs SimpleRNN, LSTM, .* of this package, got {users.__name__};"):
        forward(p.cell, p.params, p.x, backend="native")


def test_options_that_say_true_otherwise():
    """reset_after=1 is the same GRU."""
    assert cxx_type(cells.GRU(reset_after=1)) == cxx_type(cells.GRU()) != cxx_type(cells.GRU(reset_after=0))
