"""check_function: is a hand-written gradient right, and if not, which parameter, which gate, which unit, which step?

For any pair of functions: forward_fn(*inputs) -> array or tuple, backward_fn(*inputs, *upstream) -> one gradient per input or None.
NumPy functions go in as they are; frameworks.py brings Keras layers, TensorFlow, torch and JAX functions into this form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...typing import Array
from .corners import decide
from .directional import Blocks, Result, directions_of, measure, regions
from .function import Finding, Function, input_names
from .jacobian import full
from .locate import Element, ErrorOrigin, birth, error_map, narrow
from .report import FunctionReport
from .truth import Truth, agreement, choose
from .upstream import check_kinds, unusual

CORNER = "forward_fn has a corner here (relu at 0?) along {}: any slope between those of its two sides counts as right"
MOVED = "where gradients have to be right is at points moved off the corner, by about a hundredth: numbers are from there"


def check_function(
    forward_fn: Callable[..., Any],
    backward_fn: Callable[..., Any],
    inputs: Sequence[Array],
    names: Sequence[str] | None = None,
    *,
    blocks: Mapping[str, Any] | None = None,
    time_axis: int | Mapping[str, int] | None = None,
    method: str = "auto",
    directions: int | str = 8,
    seed: int = 0,
    tol: float | None = None,
    upstream: Sequence[str] | None = None,
) -> FunctionReport:
    """Check backward_fn against the derivatives of forward_fn at `inputs`, under random upstream gradients.

    forward_fn    forward_fn(*inputs) -> a floating array or a tuple of them
    backward_fn   backward_fn(*inputs, *upstream) -> one gradient per input, None where an input has none
    inputs        arrays; integers and booleans are passed on and not differentiated by
    names         of the inputs; default: those of forward_fn's parameters
    blocks        {"Wx": ("i", "f", "g", "o")}: the last axis of Wx consists of these gates; (("i", "f", "g", "o"), 0): its axis 0
    time_axis     of the first input, or {name: axis}: lets the report say at which step the error is born
    method        "complex" (exact, for an analytic forward_fn that takes complex), "central" (differences), "auto"
    directions    random directions per input; "full": every element of the Jacobians, for small functions
    seed          of the upstream gradients and the directions
    tol           relative error allowed. Default in float64: 1e-12 by complex step, 1e-7 by differences; in float32: 2e-5; more
                  where differences cannot see that well
    upstream      kinds of upstream gradients to try: "dense" (always), "strided" (other layouts, strides of 0, read-only), "missing"
                  (None for an output that is not used). Default: dense and strided; of_torch and its like know what they take

    Besides the digits it finds: two calls that differ in a bit, arguments changed in place, gradients of the wrong number, shape
    or dtype, gradients that are missing (None or zero where there is one) or NaN, and corners (relu at 0).
    Where nothing decides (numbers overflow, every point near is at a corner), the verdict is "undecided", which is not ok.
    Returns a FunctionReport: .verdict, .ok, a str() for people, .as_dict(), .figure(). Raises ValueError or TypeError for wrong use.

    >>> import numpy as np
    >>> from rnn_from_scratch.verify import check_function
    >>> report = check_function(lambda x: x**3, lambda x, dy: 2 * dy * x**2, [np.array([1.0, 2.0])])
    >>> report.ok, report.culprit.array  # 3 x^2 would be right
    (False, 'x')
    """
    function = Function(forward_fn, backward_fn, inputs, input_names(forward_fn, names, len(inputs)))
    split = check_blocks(function, blocks or {})
    axes = check_time_axis(function, time_axis)
    if directions != "full" and (not isinstance(directions, int) or isinstance(directions, bool) or directions < 1):
        raise ValueError(f'directions: expected an integer of at least 1 or "full", got {directions!r}')
    kinds = check_kinds(upstream, backward_fn)
    rng = np.random.default_rng(seed)
    findings = function.contract(rng)
    if not findings:
        findings = unusual(function, kinds, rng)
    if any(finding.kind == "count" or finding.verdict == "undecided" for finding in findings):
        return FunctionReport(function.names, "none", directions, (), tuple(findings))
    with np.errstate(over="ignore", invalid="ignore"):  # the steps of differences may lead beyond what was asked for
        return compare(function, findings, split, axes, method, directions, seed, tol)


def compare(
    function: Function, findings: list[Finding], split: Blocks, axes: dict[int, int], method: str, directions: Any, seed: int, tol: Any
) -> FunctionReport:
    """The digits: at the point itself, and where a corner explains what is off, beside it."""
    rng = np.random.default_rng(seed)
    truth, notes = choose(function, method, tol, directions_of(function, split, rng), rng)
    notes = function.skipped() + notes
    results, elements = slopes_of(function, truth, split, directions, rng)
    off = [r for r in results if r.part.wrong]
    if truth.method == "complex" and off:  # before ours is called wrong: is forward_fn analytic along these very directions?
        moves = {(r.region.k, r.region.block, 0): r.move for r in off}
        agreed = agreement(function, truth.inputs(function), moves, rng)
        if any(r.part.error <= 4 * agreed[r.region.k, r.region.block] for r in off):
            truth = truth._replace(method="central", agreed={})
            notes += ("no complex step: forward_fn has a small part that is not analytic (abs, max, real, ...)",)
            results, elements = slopes_of(function, truth, split, directions, rng)
            off = [r for r in results if r.part.wrong]
    place, culprit, born = function, None, None
    doubts: tuple[str, ...] = ()
    smooth = [r for r in off if not r.corner]
    if smooth and off != smooth:
        results = [r._replace(part=r.part._replace(doubt="a corner of forward_fn")) if r.corner else r for r in results]
    if off and not smooth:
        notes += tuple(CORNER.format(name) for name in dict.fromkeys(r.part.array for r in off))
        decision = decide(function, truth, method, split, seed)
        if decision.place is None or decision.truth is None:
            doubts = (f"a corner of forward_fn: {decision.why}",)
            results = [r._replace(part=r.part._replace(doubt=decision.why)) if r.corner else r for r in results]
        else:
            place, truth, results, culprit, elements = decision.place, decision.truth, list(decision.results), decision.element, []
            notes += (MOVED,)
    coarse = max((r.part for r in results), key=lambda part: part.floor)
    if tol is None and truth.method == "central" and coarse.allowed == 4 * coarse.floor:
        notes += (f"differences in this dtype see errors from {coarse.allowed:.0e} on: check in float64 to see more",)
    gradients = place.backward(place.upstream(rng))
    findings += missing(place, results, gradients)
    wrong = [r for r in results if r.part.wrong and r.region.k in place.usable(gradients)]
    if wrong:
        born, why_not = find_birth(place, truth, split, axes, seed)
        notes += why_not
        worst = suspect(wrong, born)
        culprit = elements[results.index(worst)] if elements else narrow(place, truth, worst.region, split, worst.upstream, rng)

    def map_of_errors() -> Array:
        if not axes:
            raise ValueError("figure: needs time_axis: check_function(..., time_axis=1)")
        return error_map(place, truth, next(iter(axes.values())), seed)

    parts = tuple(r.part for r in results)
    return FunctionReport(function.names, truth.method, directions, parts, tuple(findings), culprit, born, notes, map_of_errors, doubts)


def slopes_of(
    function: Function, truth: Truth, split: Blocks, directions: int | str, rng: np.random.Generator
) -> tuple[list[Result], list[Element]]:
    """Results, and with "full" the worst element of each."""
    if directions == "full":
        pairs = full(function, truth, split)
        return [r for r, _ in pairs], [e for _, e in pairs]
    return measure(function, truth, regions(function, split), rng, int(directions)), []


def assert_gradients(
    forward_fn: Callable[..., Any],
    backward_fn: Callable[..., Any],
    inputs: Sequence[Array],
    names: Sequence[str] | None = None,
    **options: Any,
) -> None:
    """check_function as an assertion, for the tests of your own gradients. Returns nothing if all is right.

    forward_fn    forward_fn(*inputs) -> a floating array or a tuple of them
    backward_fn   backward_fn(*inputs, *upstream) -> one gradient per input, None where an input has none
    inputs        arrays
    names         of the inputs; default: those of forward_fn's parameters. assert_gradients(*of_torch(...)) hands them over
    options       as for check_function: blocks=, time_axis=, method=, directions=, seed=, tol=, upstream=

    Raises AssertionError, with the whole report as its text, if a gradient is wrong; ValueError or TypeError as check_function does.

    >>> import numpy as np
    >>> from rnn_from_scratch.verify import assert_gradients
    >>> def layer(x, W):
    ...     return np.tanh(x @ W)
    >>> def layer_gradients(x, W, dy):
    ...     da = dy * (1 - layer(x, W) ** 2)
    ...     return da @ W.T, x.T @ da
    >>> rng = np.random.default_rng(0)
    >>> assert_gradients(layer, layer_gradients, [rng.standard_normal((4, 3)), rng.standard_normal((3, 2))])
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    report = check_function(forward_fn, backward_fn, inputs, names, **options)
    if not report.ok:
        raise AssertionError(str(report))


def check_blocks(function: Function, blocks: Mapping[str, Any]) -> Blocks:
    """name -> (block names, axis), after checking names and sizes."""
    found: Blocks = {}
    for name, value in blocks.items():
        if name not in function.names:
            raise ValueError(f"blocks: expected names of inputs ({', '.join(function.names)}), got {name!r}")
        parts, axis = value if len(value) == 2 and isinstance(value[1], int) else (value, -1)
        shape = function.inputs[function.names.index(name)].shape
        if not -len(shape) <= axis < len(shape) or shape[axis] % len(parts):
            raise ValueError(f"blocks: expected axis {axis} of {name} to divide into {len(parts)} parts, got shape {list(shape)}")
        found[name] = (tuple(parts), axis % len(shape))
    return found


def check_time_axis(function: Function, time_axis: int | Mapping[str, int] | None) -> dict[int, int]:
    """input -> its time axis, from 0 on."""
    if time_axis is None:
        return {}
    named = time_axis if isinstance(time_axis, Mapping) else {function.names[0]: time_axis}
    found = {}
    for name, axis in named.items():
        if name not in function.names:
            raise ValueError(f"time_axis: expected names of inputs ({', '.join(function.names)}), got {name!r}")
        shape = function.inputs[function.names.index(name)].shape
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"time_axis: expected an axis of {name}, of shape {list(shape)}, got {axis}")
        found[function.names.index(name)] = axis % len(shape)
    return found


def missing(function: Function, results: Sequence[Result], gradients: Sequence[Any]) -> list[Finding]:
    """A finding for every input whose gradient is None and should not be zero."""
    wrong = dict.fromkeys(r.region.k for r in results if r.part.wrong and gradients[r.region.k] is None)
    return [Finding("missing", f"gradient of {function.names[k]} is None, but the outputs depend on it") for k in wrong]


def find_birth(
    function: Function, truth: Truth, blocks: Blocks, axes: dict[int, int], seed: int
) -> tuple[ErrorOrigin | None, tuple[str, ...]]:
    """The step of birth, or a note on why it cannot be told."""
    if not axes:
        return None, ()
    try:
        return birth(function, truth, blocks, axes, seed), ()
    except Exception as error:  # a function may well insist on its number of steps
        first_line = (str(error).strip().splitlines() or [""])[0]
        return None, (f"no step of birth: fewer steps of the same inputs fail with {type(error).__name__}: {first_line[:120]}",)


def suspect(wrong: Sequence[Result], born: ErrorOrigin | None) -> Result:
    """The worst result among those that birth suspects most, else the worst of all."""
    for array, names in born.suspects if born else ():
        among = [r for r in wrong if r.part.array == array and r.part.block in names]
        if among:
            return max(among, key=lambda r: r.part.ratio)
    return max(wrong, key=lambda r: r.part.ratio)
