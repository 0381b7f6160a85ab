"""The kernels through CUDA's own compiler, with no GPU: no warning, no spill, no float atomic, no fast math, few registers."""

from __future__ import annotations

import os
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pytest

from bench.gpu_timing import micro_text
from rnn_from_scratch import cells
from rnn_from_scratch.backends.gpu.source import column_sum_text, second_order_text, signatures, step_text
from rnn_from_scratch.cells.activations import ACTIVATIONS, RECURRENT_ACTIVATIONS

from ..helpers import lint, nvrtc
from ..helpers.sample import drawn

pytestmark = pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing())

KINDS = [("float32", None), ("float64", None), ("float32", "float16"), ("float32", "bfloat16")]


def with_every_activation(cell):
    if not hasattr(cell, "recurrent_activation"):
        return [replace(cell, activation=a) for a in ACTIVATIONS]
    return [replace(cell, activation=a, recurrent_activation=r) for a, r in product(ACTIVATIONS, RECURRENT_ACTIVATIONS)]


FORMS = [with_every_activation(cell) for cell in cells.forms().values()]


def complaints(texts, architecture, dtype):
    """Of every kernel of some texts, for one architecture."""
    found = [complaint for source in texts for complaint in lint.text(source)]
    for source, kernels in zip(texts, nvrtc.inspect_all(texts, architecture)):
        assert set(kernels) == set(signatures(source))
        for name, kernel in kernels.items():
            found += [f"{architecture}, {dtype}: {c}" for c in lint.code(name, kernel, dtype)]
    return found


@pytest.mark.parametrize(("dtype", "storage"), KINDS[:2])
def test_every_cell_on_one_architecture(dtype, storage):
    texts = [step_text(forms[0], dtype, storage) for forms in FORMS] + [column_sum_text(dtype)]
    assert complaints(texts, "sm_80", dtype) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_order_on_one_architecture(dtype):
    assert complaints([second_order_text(cells.PeepholeLSTM(), dtype)], "sm_80", dtype) == []


@pytest.mark.check
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_second_order_in_every_form_and_on_every_architecture(dtype):
    for architecture in nvrtc.ARCHITECTURES:
        forms = [cell for every in FORMS for cell in (every if architecture == "sm_80" else every[:1])]
        assert complaints([second_order_text(cell, dtype) for cell in forms], architecture, dtype) == []


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_the_kernels_that_gpu_check_times(architecture):
    assert complaints([micro_text()], architecture, "float32") == []


@pytest.mark.check
def test_the_whole_matrix():
    """Every cell, storage and architecture; of the 900 modules with other activations a draw. In as many processes as there are CPUs."""
    places = list(product(nvrtc.ARCHITECTURES, KINDS))
    others = [(place, cell) for place in places for forms in FORMS for cell in forms[1:]]
    assert len(others) + len(FORMS) * len(places) >= 900
    modules = [(place, forms[0]) for place in places for forms in FORMS] + drawn(others, every=3)
    jobs = []
    for architecture, (dtype, storage) in places:
        texts = [step_text(cell, dtype, storage) for place, cell in modules if place == (architecture, (dtype, storage))]
        jobs += [(texts[start : start + 8], architecture, dtype) for start in range(0, len(texts), 8)]
        jobs.append(([column_sum_text(dtype)], architecture, dtype))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as pool:
        found = [complaint for result in pool.map(complaints, *zip(*jobs)) for complaint in result]
    assert found == []


@pytest.mark.parametrize("forms", FORMS, ids=lambda forms: cells.form_name(forms[0]))
def test_the_compiler_of_cuda_12_takes_them_too(forms):
    for source in (step_text(forms[0], "float32", "float16"), second_order_text(forms[0], "float32"), column_sum_text("float32")):
        assert nvrtc.compile_text(source, "sm_90", release=12)


# ---- the checks can fail

PLANTED = (Path(__file__).parent / "planted.cu").read_text(encoding="utf-8").split("// ---- ")[1:]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: p.partition(" |")[0])
def test_planted_faults_are_found(planted):
    head, _, source = planted.partition("\n")
    try:
        found = "\n".join(complaints([source], "sm_80", "float32"))
    except nvrtc.CompileError as error:
        found = f"refused: {error}"
    assert re.search(head.partition(" | ")[2], found), found


def test_fast_math_is_found_in_the_real_text():
    source = step_text(cells.LSTM(), "float32")
    assert lint.text(source) == []
    assert lint.text(source.replace("exp(select", "__expf(select")) == ["fast math: __expf("]
