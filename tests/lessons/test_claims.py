"""The claims of the lessons can fail: for every assert there is a planted change of the lesson under which it does."""

import ast

import numpy as np
import pytest

from rnn_from_scratch.backends import emulator
from rnn_from_scratch.lessons import lessons

from ..helpers.sample import drawn
from .claims import claims, failing
from .planted import PLANTED

SCRIPTS = {lesson.name: lesson.path.read_text(encoding="utf-8") for lesson in lessons()}
ROWS = [(name, row) for name, rows in PLANTED.items() for row in rows]
NEED_GXX = {lesson.name for lesson in lessons() if lesson.needs_gxx}


@pytest.fixture(autouse=True)
def usable(request):
    usable, why_not = emulator.available()
    if request.node.get_closest_marker("check") and request.node.callspec.params["name"] in NEED_GXX and not usable:
        pytest.skip(why_not)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_claim_has_a_change_that_breaks_it(name):
    begins = [begin for _, _, broken in PLANTED[name] for begin in broken]
    assert claims(SCRIPTS[name])
    for claim in claims(SCRIPTS[name]):
        assert any(claim.startswith(begin) for begin in begins), claim


def test_lessons_claim_nothing_else():
    """Only asserts at the end of a script claim something: none is hidden in a function."""
    for text in SCRIPTS.values():
        inside = [n for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)]
        assert not any(isinstance(node, ast.Assert) for node in inside)
        assert text.split("## What this lesson claims")[0].count("\nassert ") == 0


@pytest.mark.check
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what is broken may overflow
@pytest.mark.parametrize(("name", "row"), drawn(ROWS, every=4), ids=lambda v: v if isinstance(v, str) else v[1][:40])
def test_a_planted_change_breaks_its_claims(name, row):
    old, new, broken = row
    assert SCRIPTS[name].count(old) == 1, old
    with np.errstate(all="ignore"):
        found = failing(SCRIPTS[name].replace(old, new))
    for begin in broken:
        assert any(claim.startswith(begin) for claim in found), f"{begin}: holds; {found} do not"


@pytest.mark.check
@pytest.mark.parametrize("name", SCRIPTS)
def test_without_a_change_all_hold(name):
    assert failing(SCRIPTS[name]) == []
