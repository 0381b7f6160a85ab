"""The checker's own score: no planted error passes, no right gradient is called wrong, and only corners are ever left undecided."""

import numpy as np
import pytest

from rnn_from_scratch.verify import check_function, functions
from rnn_from_scratch.verify.functions import score as scored
from rnn_from_scratch.verify.functions.score import KINDS, PLANTS, SEEDS, score
from rnn_from_scratch.verify.functions.score.__main__ import counts, markdown
from rnn_from_scratch.verify.functions.score.kinds import BLOCKS, NAMES, case, kind_of
from rnn_from_scratch.verify.functions.score.plants import moves, planted

from ..helpers.sample import drawn

UNDECIDED = 0.02
EACH = [(name, (n + other) % 2) for n, name in enumerate(KINDS) for other in range(2)]  # kind, seed; every second one has every kind


def mistakes(scores):
    return [f"{s.kind}, {s.plant or 'right'}, seed {s.seed}: {s.verdict}\n{s.text}" for s in scores if s.mistake]


def test_the_grid_is_as_large_as_it_says():
    assert len(KINDS) == 10
    assert len(PLANTS) == 12
    assert SEEDS == 20


@pytest.mark.parametrize("name", KINDS)
def test_one_seed_of_every_kind_and_some_plants(name):
    some = list(PLANTS)[list(KINDS).index(name) % 4 :: 4]
    found = list(score(name, seed=1, plants=some))
    assert not mistakes(found), "\n".join(mistakes(found))
    assert counts(found)[:4] == [1, 1, 0, 0]
    assert counts(found)[4] >= 1  # a plant that moves too little does not count


@pytest.mark.check
@pytest.mark.parametrize("name", KINDS)
def test_the_right_one_of_every_kind_with_every_element(name):
    report = check_function(*case(kind_of(name, 1), 1), names=NAMES, blocks=BLOCKS, seed=1, directions="full")
    assert report.ok, report


@pytest.mark.check
def test_every_kind_every_planted_error_every_seed():
    found = [s for name in KINDS for seed in drawn(range(SEEDS), every=10) for s in score(name, seed)]
    print(markdown(found))
    assert not mistakes(found), "\n".join(mistakes(found))
    asked = [s for s in found if s.verdict != "not counted"]
    assert len(asked) > 0.95 * len(found)
    assert sum(s.verdict == "undecided" for s in asked) <= UNDECIDED * len(asked)


@pytest.mark.check
@pytest.mark.parametrize(("name", "seed"), drawn(EACH, every=2))
def test_every_kind_every_planted_error_with_every_element(name, seed):
    found = list(score(name, seed, directions="full"))
    assert not mistakes(found), "\n".join(mistakes(found))


@pytest.mark.parametrize("plant", ["", *PLANTS])
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_what_explodes_beyond_the_largest_number_is_undecided(plant):
    kind = KINDS["exploding, finite up to 1e300"][0]
    for seed in range(3):
        tried = planted(kind, seed, plant) if plant else case(kind, seed)
        tried.inputs[NAMES.index("Wh")] *= 10.0 ** (120 - 5 * seed)
        assert not np.isfinite(tried.forward(*tried.inputs)).all()
        assert check_function(*tried, names=NAMES, seed=seed).verdict == "undecided"


def test_it_explodes_to_1e300_and_no_further():
    largest = [np.max(np.abs(case(kind_of(name, seed), seed).forward(*case(kind_of(name, seed), seed).inputs)))
               for name in ["exploding, finite up to 1e300"] for seed in range(SEEDS)]  # fmt: skip
    assert 1e298 < max(largest) < 1e303
    assert min(largest) < 1e20


def test_a_checker_that_is_broken_scores_badly(monkeypatch):
    right = functions.check_function
    monkeypatch.setattr(scored, "check_function", lambda *a, **o: right(*a, **{**o, "tol": 10.0}))  # lets all but None and the like pass
    assert sum(s.mistake for s in score("smooth", 0)) >= 8
    monkeypatch.setattr(scored, "check_function", lambda *a, **o: right(*a, **{**o, "tol": 1e-19}))
    assert next(score("smooth", 0)).mistake


def test_a_plant_that_moves_nothing_does_not_count():
    kind = kind_of("smooth", 0)
    assert moves(case(kind, 0), case(kind, 0), 0) == 0
    assert all(moves(case(kind, 0), planted(kind, 0, plant), 0) > 1e-4 for plant in PLANTS)
