"""Every exercise: the stub is not begun, the solution passes, common mistakes are told by array, block and step."""

import ast
import re

import pytest

from rnn_from_scratch.backends import emulator
from rnn_from_scratch.lessons import lessons
from rnn_from_scratch.lessons.exercises import EXERCISES, SOLUTIONS, STUBS, child, judges, parent

from .slips import SLIPS, WRONG

needs_gxx = [pytest.mark.check, pytest.mark.skipif(not emulator.available()[0], reason=emulator.available()[1])]


def param(id, *values, name):
    """A row of a test; those that compile a kernel are long."""
    return pytest.param(id, *values, id=name, marks=needs_gxx if EXERCISES[id].kind == "kernel" else [])


ALL = [param(id, variant, name=f"{id}-{variant}") for id, row in EXERCISES.items() for variant in range(len(row.variants) + 1)]


def judged(tmp_path, id, text, seed=0, variant=0):
    """What the judge says of a text, in this process."""
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    return child.judged(str(file), id, seed, variant)


def told(id, answer):
    """The check that a learner is shown."""
    checks = [judges.Check(c["name"], c["ok"], c["text"], tuple(c["where"])) for c in answer["checks"]]
    off = [check for check in checks if not check.ok]
    return next((check for check in off if check.where[0]), off[0])


def test_every_lesson_has_two():
    assert [row.lesson for row in EXERCISES.values()] == sorted(2 * [lesson.number for lesson in lessons()])
    for folder in (STUBS, SOLUTIONS):
        assert sorted(path.stem for path in folder.glob("*.py")) == sorted(id.replace(".", "_") for id in EXERCISES)
    assert {id for id, row in EXERCISES.items() if row.kind in ("gradient", "cell")} == set(SLIPS)
    assert set(EXERCISES) == set(SLIPS) | set(WRONG)
    assert all(len(rows) >= 6 for rows in SLIPS.values())


@pytest.mark.parametrize(("id", "variant"), ALL)
def test_the_stub_is_not_begun(id, variant, tmp_path):
    row = EXERCISES[id]
    answer = judged(tmp_path, id, parent.head(row, 0, variant) + row.text(STUBS, variant), variant=variant)
    assert answer["status"] == "not begun"
    assert answer["why"] == "the bug is still in it" if row.mends else answer["why"].startswith("fill in ")
    if row.mends:
        assert told(id, answer).text


@pytest.mark.parametrize(("id", "variant"), ALL)
def test_the_solution_passes(id, variant, tmp_path):
    row = EXERCISES[id]
    for seed in (0,) if variant else (0, 7):
        answer = judged(tmp_path, id, row.text(SOLUTIONS, variant), seed, variant)
        assert answer["status"] == "right", answer


@pytest.mark.parametrize(("id", "variant"), ALL)
def test_a_variant_is_another_exercise(id, variant, tmp_path):
    row = EXERCISES[id]
    for old, _ in row.variants[variant - 1] if variant else ():
        base = row.text(STUBS) + ("" if row.mends else row.text(SOLUTIONS))
        assert old in base, old
    if variant and not row.mends:
        assert judged(tmp_path, id, row.text(SOLUTIONS), variant=variant)["status"] == "wrong"
        assert judged(tmp_path, id, row.text(SOLUTIONS, variant))["status"] == "wrong"
    if variant and row.mends:
        assert row.text(STUBS, variant) != row.text(STUBS)


ALL_SLIPS = [pytest.param(id, slip, id=f"{id} {slip[0]}") for id, slips in SLIPS.items() for slip in slips]


@pytest.mark.parametrize(("id", "slip"), ALL_SLIPS)
def test_a_slip_is_told(id, slip, tmp_path):
    name, old, new, arrays, block, step = slip
    text = EXERCISES[id].text(SOLUTIONS)
    assert text.count(old) == 1, f"{name}: {old}"
    answer = judged(tmp_path, id, text.replace(old, new))
    assert answer["status"] == "wrong"
    where = told(id, answer).where
    assert where[0] in (arrays or where[0])
    assert where[0]
    assert block is None or where[1] == block, where
    assert step is None or where[2] == step, where


ALL_WRONG = [param(id, pair, name=f"{id}-{pair[0][:20]}-{n}") for id, pairs in WRONG.items() for n, pair in enumerate(pairs)]


@pytest.mark.parametrize(("id", "pair"), ALL_WRONG)
def test_a_wrong_answer_is_told(id, pair, tmp_path):
    text = EXERCISES[id].text(SOLUTIONS)
    assert text.count(pair[0]) == 1
    answer = judged(tmp_path, id, text.replace(*pair))
    assert answer["status"] == "wrong"
    assert told(id, answer).text


def test_the_forward_pass_has_to_stay(tmp_path):
    text = EXERCISES["6.1"].text(SOLUTIONS).replace("np.tanh(ag)", "ag")
    assert told("6.1", judged(tmp_path, "6.1", text)).text.startswith("forward is not as it was given: got ")


def test_arguments_have_to_stay(tmp_path):
    text = EXERCISES["2.1"].text(SOLUTIONS).replace("    h = forward", "    x *= 2\n    h = forward")
    assert told("2.1", judged(tmp_path, "2.1", text))
    texts = [c["text"] for c in judged(tmp_path, "2.1", text)["checks"]]
    assert "backward changes its argument x in place, at [0, 0]" in texts


def test_two_calls_have_to_give_the_same(tmp_path):
    text = EXERCISES["2.1"].text(SOLUTIONS).replace("da = dh", "da = np.random.default_rng().uniform(1, 2) * dh")
    texts = [c["text"] for c in judged(tmp_path, "2.1", text)["checks"]]
    assert any("two calls with the same arguments" in text for text in texts)


def test_hints_belong_to_what_is_told():
    for row in EXERCISES.values():
        assert len(row.hints) == 3
        gates = re.search(r"^GATES = (.+)$", row.text(STUBS), re.M)
        blocks = ast.literal_eval(gates[1]) if gates else ()
        known = {"carry", *row.shapes, *(f"{name}[{block}]" for name in row.shapes for block in blocks)}
        assert set(row.told) <= known
    assert parent.hint(EXERCISES["6.1"], judges.Check("", False, "", ("Wx", "f", 0))).startswith("df = dc * c_prev")
    assert parent.hint(EXERCISES["6.1"], judges.Check("", False, "", ("Wx", "f", 1))).startswith("The last step is right")
    assert parent.hint(EXERCISES["6.1"], judges.Check("", False, "", ("x", "", 0))) == ""
