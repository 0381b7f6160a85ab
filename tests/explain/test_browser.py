"""Pages of cells in Chromium, from file://: they prove their numbers, whatever is turned."""

import numpy as np
import pytest

from rnn_from_scratch import backends, cells
from rnn_from_scratch.explain import pages
from rnn_from_scratch.explain.arrays import numbers
from rnn_from_scratch.explain.example import example
from rnn_from_scratch.explain.record import document
from rnn_from_scratch.explain.steps import loss_gradient, steps
from rnn_from_scratch.measure import EXACT, error

from ..helpers.browser import Tab

pytestmark = pytest.mark.check


@pytest.mark.parametrize("name", cells.forms())
def test_a_page_proves_its_numbers_and_asks_for_nothing(browser, written, name):
    tab = Tab(browser, written[name])
    assert (tab.selftest, tab.errors, len(tab.requests)) == ("ok", [], 1)
    assert "computed again here, worst difference" in tab.text("check") and "Do not trust me" not in tab.text("check")
    assert all(np.isfinite(row).all() and len(row) == 7 for row in tab.grid().values())


@pytest.mark.parametrize("name", cells.forms())
@pytest.mark.parametrize("where", ["layers", "check"])
def test_one_changed_number_makes_it_say_do_not_trust_me(browser, tmp_path, name, where):
    e = example(cells.forms()[name], units=3, steps=7)
    doc = document([(e.cell, e.params)], e.x, loss=e.loss)
    changed = e.params["Wh"].copy() if where == "layers" else np.zeros((7, 3))
    changed[1, 2] += 1e-9
    if where == "layers":
        doc["layers"][0]["params"]["Wh"] = numbers(changed)
    else:
        doc["check"]["y"] = numbers(backends.forward(e.cell, e.params, e.x, backend="reference")[0][0] + changed)
    path = pages.write(tmp_path / "wrong.html", pages.render(doc))
    tab = Tab(browser, path)
    assert tab.selftest == "failed" and tab.text("check").startswith("Do not trust me: ") and tab.errors == []
    shown = tab.page.evaluate("getComputedStyle(document.getElementById('check'), '::before').content")
    assert "\u2717" in shown


def turned(rng, cell, units, T):
    """A random setting of the knobs: its hash, and what it means."""
    at = {name: rng.uniform(-1, 1) for name in ("x", "bias", "weight", "first")}
    gate, j, u, row, t = rng.integers(len(cell.gates)), rng.integers(T), rng.integers(units), rng.integers(units), rng.integers(T)
    state, loss = cell.states[rng.integers(len(cell.states))], cell.states[rng.integers(len(cell.states))]
    column, scale = rng.integers(units * len(cell.gates)), rng.uniform(0.2, 1.5)
    index = row * units * len(cell.gates) + column
    hash = f"t={t}&unit={u}&x{j}={at['x']!r}&b.{cell.gates[gate]}={at['bias']!r}&wh={scale!r}&w=Wh.{index}.{at['weight']!r}"
    hash += f"&{state}0.{u}={at['first']!r}&loss={loss}.{u}.{t}"
    return hash, dict(at=at, gate=gate, j=j, u=u, row=row, t=t, state=state, loss=loss, column=column, scale=scale)


def meant(e, units, s):
    """The same by NumPy: row -> its numbers for the unit, up to the step of the loss."""
    params = {name: a.copy() for name, a in e.params.items()}
    params["bx" if "bx" in params else "b"][s["gate"] * units : (s["gate"] + 1) * units] += s["at"]["bias"]
    params["Wh"] *= s["scale"]
    params["Wh"][s["row"], s["column"]] = s["at"]["weight"]
    x, T = e.x.copy(), s["t"] + 1
    x[0, s["j"], 0] = s["at"]["x"]
    initial = [np.zeros((1, units)) for _ in e.cell.states]
    initial[e.cell.states.index(s["state"])][0, s["u"]] = s["at"]["first"]
    dy, dstate = loss_gradient(e.cell, (T, units), {"state": s["loss"], "unit": s["u"]})
    run = steps(e.cell, params, x[:, :T], dy, dstate, initial_state=tuple(initial))
    rows = {name: run.tape.saved[0, :, k, s["u"]] for k, name in enumerate(e.cell.saved)}
    rows |= {name: run.tape.states[k][0, 1:, s["u"]] for k, name in enumerate(e.cell.states)}
    rows |= {f"arriving.{name}": np.array([d[k][0, s["u"]] for d in run.arriving]) for k, name in enumerate(e.cell.states)}
    made = [{a.name: a.value for told in phases for line in told.lines for a in line.assignments} for phases in run.backward]
    rows |= {f"backward.{name}": np.array([m[name][0, s["u"]] for m in made]) for name in made[0]}
    return rows | {"dx.0": run.gradients.x[0, :, 0]}


def test_fifty_random_settings_of_the_knobs_show_what_numpy_computes(browser, written):
    forms, compared = list(cells.forms().items()), 0
    tabs = {name: Tab(browser, written[name]) for name, _ in forms}
    for seed in range(50):
        name, cell = forms[seed % len(forms)]
        rng = np.random.default_rng(seed)
        hash, setting = turned(rng, cell, 3, 7)
        heard = "addEventListener('hashchange', () => setTimeout(done, 0), { once: true })"  # after the page has heard it
        tabs[name].page.evaluate(f"new Promise((done) => {{ {heard}; location.hash = {hash!r}; }})")
        assert tabs[name].chosen()[1] == setting["t"]
        expected, T = meant(example(cell, units=3, steps=7), 3, setting), setting["t"] + 1
        for row, values in tabs[name].grid().items():
            assert error(np.array(values[:T]), expected[row]) <= EXACT, (seed, name, hash, row)
            compared += 1
    assert compared > 400
