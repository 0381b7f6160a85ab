"""diagnose against planted differences: mismatched.py, written apart from it."""

from itertools import combinations, product

import numpy as np
import pytest

from rnn_from_scratch import cells, forward
from rnn_from_scratch.interop.conventions import split
from rnn_from_scratch.interop.diagnose import diagnose
from rnn_from_scratch.interop.mismatches import Setup, mismatches_for
from rnn_from_scratch.measure import error
from rnn_from_scratch.verify.cases import problem

from ..helpers.mismatched import theirs

HARD = {"recurrent_activation": "hard_sigmoid"}
CELLS = [
    cells.SimpleRNN(),
    cells.SimpleRNN("relu"),
    cells.LSTM(),
    cells.LSTM(**HARD),
    cells.LSTM(use_bias=False),
    cells.PeepholeLSTM(),
    cells.PeepholeLSTM(**HARD),
    cells.GRU(),
    cells.GRU(**HARD),
    cells.GRU(False),
    cells.GRU(False, **HARD),
]


def planted_function(cell, planted):
    """theirs_fn(params, x) with these differences."""
    reset = ("after" if cell.reset_after else "before") if hasattr(cell, "reset_after") else None
    recurrent = getattr(cell, "recurrent_activation", None)
    return lambda params, x: theirs(type(cell).__name__, reset, cell.activation, recurrent, params, x, planted)


def ours(cell):
    return lambda params, x: forward(cell, params, x)


def causes_of(cell, I=3, H=4):
    p = problem(cell, sizes=(2, 7, I, H))
    return mismatches_for(Setup(cell, split(cell, p.params), p.x))


def singles(cell):
    return [(cause,) for group in causes_of(cell) for cause in group]


def pairs(cell):
    return [pair for a, b in combinations(causes_of(cell), 2) for pair in product(a, b)]


def names(causes):
    return {cause.about: cause.value for cause in causes}


def judge(cell, causes, seed=0, sizes=(2, 3, 3, 4)):
    """Plants the causes and diagnoses: 'exact', 'tied' (the truth among several), 'smaller' (one cause does the same), 'wrong'."""
    p = problem(cell, sizes=sizes, seed=seed)
    truth = names(causes)
    d = diagnose(ours(cell), planted_function(cell, truth), p.params, cell, p.x)
    found = [names(e.causes) for e in d.explanations]
    if truth in found:
        assert all(e.error <= 1e-12 for e in d.explanations)
        assert ("fit equally" in str(d)) == (len(found) > 1)
        return "exact" if len(found) == 1 else "tied"
    wanted = planted_function(cell, truth)(p.params, p.x)
    same = [f for f in found if error(planted_function(cell, f)(p.params, p.x), wanted) <= 1e-12]
    return "smaller" if same and len(same) == len(found) and len(same[0]) < len(truth) else "wrong"


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_the_planted_functions_are_the_cells(cell):
    p = problem(cell, sizes=(2, 7, 3, 4))
    y = planted_function(cell, {})(p.params, p.x)
    assert error(y, forward(cell, p.params, p.x)[0]) <= 1e-14
    d = diagnose(ours(cell), planted_function(cell, {}), p.params, cell)
    assert d.agree
    assert "they agree" in str(d)


@pytest.mark.check
def test_right_on_100_mismatches_drawn_from_all_singles_and_pairs():
    """Half single causes, half pairs, of cells drawn in turn; the groups are drawn first, or gate orders would be most of them."""
    rng = np.random.default_rng(7)
    verdicts = []
    for n in range(100):
        cell = CELLS[n % len(CELLS)]
        groups = [g for g in causes_of(cell) if g]
        chosen = sorted(rng.choice(len(groups), size=1 + n // 50, replace=False))
        causes = tuple(groups[g][rng.integers(len(groups[g]))] for g in chosen)
        verdicts.append((judge(cell, causes, seed=n), cell, names(causes)))
    wrong = [v for v in verdicts if v[0] == "wrong"]
    assert len(wrong) <= 2, wrong
    assert sum(v[0] == "exact" for v in verdicts) >= 90


QUICK = (2, 3, 5, 7, 10)  # indices of CELLS; the others run in `make check`


@pytest.mark.parametrize(
    "cell", [pytest.param(c, marks=[] if n in QUICK else pytest.mark.check, id=repr(c)) for n, c in enumerate(CELLS)]
)
def test_right_on_every_single_cause(cell):
    for causes in singles(cell):
        assert judge(cell, causes) == "exact", names(causes)


@pytest.mark.check
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_right_on_every_group_of_pairs(cell):
    """A pair of every two groups, with I = H too: then the blocks of Wx can be transposed."""
    rng = np.random.default_rng(3)
    verdicts = []
    for a, b in combinations(causes_of(cell, I=4), 2):
        if a and b:
            causes = a[rng.integers(len(a))], b[rng.integers(len(b))]
            verdicts.append((judge(cell, causes, seed=len(verdicts), sizes=(2, 3, 4, 4)), names(causes)))
    assert [v for v in verdicts if v[0] == "wrong"] == []


def unrelated(params, x):
    rng = np.random.default_rng(5)
    return np.tanh(x @ rng.standard_normal((x.shape[2], params["Wh"].shape[0])))


def other_weights(cell):
    p = problem(cell, sizes=(2, 7, 3, 4), seed=99)
    return lambda params, x: forward(cell, p.params, x)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_none_on_an_unrelated_function_and_on_other_weights(cell):
    p = problem(cell, sizes=(2, 7, 3, 4))
    for stranger in (unrelated, other_weights(cell)):
        d = diagnose(ours(cell), stranger, p.params, cell)
        assert d.explanations == ()
        assert not d.agree
        assert d.closest is not None
        assert d.closest.error > 0.01
        assert f"none of {d.tried[0]} single causes and {d.tried[1]} pairs makes them agree" in str(d)
        assert d.tried == (len(singles(cell)), len(pairs(cell)))


def test_a_wrong_reset_is_named():
    """The other GRU under the same weights: what torch's exporter once wrote."""
    p = problem(cells.GRU(), sizes=(2, 7, 3, 4))

    def merged(params, x):
        b = params["bx"] + params["bh"]
        return forward(cells.GRU(reset_after=False), {"Wx": params["Wx"], "Wh": params["Wh"], "b": b}, x)

    d = diagnose(ours(cells.GRU()), merged, p.params, cells.GRU())
    assert [names(e.causes) for e in d.explanations] == [{"reset gate": "before"}]
    assert "reset gate: theirs applies the reset gate before the recurrent product" in str(d)


def test_equal_explanations_are_all_named():
    """With bx = bh, dropping either bias is the same: both are told, and that they fit equally."""
    p = problem(cells.GRU(), sizes=(2, 7, 3, 4))
    p.params["Wh"][...] = 0
    p.params["bx"][-4:] = p.params["bh"][-4:] = 0  # r does not matter then
    p.params["bx"][:] = p.params["bh"]
    d = diagnose(ours(cells.GRU()), planted_function(cells.GRU(), {"biases": "bh left out"}), p.params, cells.GRU())
    assert {"biases": "bh left out"} in [names(e.causes) for e in d.explanations]
    assert {"biases": "bx left out"} in [names(e.causes) for e in d.explanations]
    assert f"{len(d.explanations)} explanations fit equally" in str(d)


def test_ours_may_be_anything_but_then_only_the_outside_is_searched():
    """A user's own cell that is not the package's: gate order is still found, an activation is not tried."""
    cell = cells.LSTM()
    p = problem(cell, sizes=(2, 7, 3, 4))

    def mine(params, x):
        return forward(cells.LSTM("relu"), params, x)[0]

    reordered = planted_function(cells.LSTM("relu"), {"gate order": "i g f o"})
    d = diagnose(mine, reordered, p.params, cell)
    assert [names(e.causes) for e in d.explanations] == [{"gate order": "i g f o"}]
    assert not d.inside
    assert "only causes in weights, biases and time were tried" in str(d)
    assert d.explanations[0].error <= 1e-12 < d.before


def test_float32_and_torch_tensors():
    torch = pytest.importorskip("torch", reason="needs torch: pip install torch")
    cell = cells.LSTM()
    p = problem(cell, dtype="float32", sizes=(2, 7, 3, 4))

    def tensors(params, x):
        return torch.from_numpy(planted_function(cell, {"time": "reversed x"})(params, x).astype("float32")).requires_grad_()

    d = diagnose(ours(cell), tensors, p.params, cell)
    assert [names(e.causes) for e in d.explanations] == [{"time": "reversed x"}]


def test_errors_say_what_to_do():
    cell = cells.LSTM()
    p = problem(cell, sizes=(2, 7, 3, 4))
    with pytest.raises(ValueError, match=r"theirs_fn: expected y \[B, T, H\] = \[2, 4, 4\], got \[2, 4\]; return every step"):
        diagnose(ours(cell), lambda params, x: np.zeros((2, 4)), p.params, cell)
    with pytest.raises(ValueError, match=f"cell: expected {cells.listing('or')}, got int"):
        diagnose(ours(cell), ours(cell), p.params, 3)
    with pytest.raises(ValueError, match="params: expected exactly Wx, Wh, b for LSTM; missing b"):
        diagnose(ours(cell), ours(cell), {k: v for k, v in p.params.items() if k != "b"}, cell)
