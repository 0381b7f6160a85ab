"""The model's constants (planner.Costs) from what gpu-check has measured; bench.gpu_model --fit is the command."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnn_from_scratch.backends.gpu import planner
from rnn_from_scratch.backends.gpu.model import SOURCES
from rnn_from_scratch.backends.gpu.planner import Costs, Limits

from .cases import CELLS, gates, sizes

LARGE = 0.8  # of the peak, by a product over all steps at once


def apart(limits: Limits, costs: Costs, shape: str, cell: str) -> tuple[float, float]:
    """ms of all but the time loop, forward and backward: Python's work, and the products over all steps at once."""
    (B, T, I, H), G = sizes(shape), gates(cell)
    peak = 2e9 * limits.multiprocessors * limits.lanes * limits.clock * LARGE  # operations in a second
    return costs.call / 1e3 + 2e3 * B * T * I * G * H / peak, costs.call / 1e3 + 2e3 * B * T * (2 * I + H) * G * H / peak


def whole(alone: tuple[float, float], us: tuple[float, float] | None, T: int) -> tuple[float, float] | None:
    """ms of both passes, of a loop of so many us a step."""
    return None if us is None else (alone[0] + us[0] * T / 1e3, alone[1] + us[1] * T / 1e3)


def expected(costs: Costs, limits: Limits, shape: str, cell: str, tiles: Any = None) -> dict[str, tuple[float, float]]:
    """Tier -> ms of forward, and of forward and backward, as gpu-check measures them: with these tiles, or those that the planner
    takes now."""
    (B, T, _, H), maths = sizes(shape), CELLS[cell]
    us = {"step": (planner.step_us(limits, costs, maths, B, H, 4, False), planner.step_us(limits, costs, maths, B, H, 4, True))}
    if tiles is None and (best := planner.best_tiles(limits, Costs(), maths, B, H, 4, False)):
        tiles = best[1]
    if tiles is not None:
        tiles = planner.Tiles(*tiles)
        ahead, back = (planner.pass_sizes(maths, H, False, tiles, backward) for backward in (False, True))
        assert ahead is not None and back is not None
        times = (planner.sequence_us(limits, costs, maths, H, 4, tiles, s, s is back) for s in (ahead, back))
        us["sequence"] = next(times), next(times)
    alone = apart(limits, costs, shape, cell)
    both = {tier: whole(alone, loop, T) for tier, loop in us.items()}
    return {tier: (ms[0], sum(ms)) for tier, ms in both.items() if ms}


def timed(report: dict[str, Any]) -> list[dict[str, Any]]:
    """All timings of a report of gpu-check, which may have come to an end before the last of them."""
    return [row for name in ("crossover", "tile timings", "timings", "more timings") for row in report.get(name, ())]


def residuals(costs: Costs, limits: Limits, rows: list[dict[str, Any]]) -> Any:
    """log(predicted / measured) of both tiers: forward alone, and with backward."""
    logs = [
        np.log(predicted / measured)
        for row in rows
        for tier, both in expected(costs, limits, row["shape"], row["cell"], row.get("tiles")).items()
        for predicted, measured in zip(both, row.get(tier) or ())
    ]
    return np.array(logs or [0.0])


def errors(costs: Costs, limits: Limits, rows: list[dict[str, Any]]) -> float:
    """Mean square of the residuals."""
    return float(np.mean(np.square(residuals(costs, limits, rows))))


def fit(report: dict[str, Any], limits: Limits) -> Costs:
    """The Costs that fit a report of gpu-check: the barrier as measured alone, the others by Gauss-Newton steps on their logarithms.

    What the report says nothing of stays where it was: a constant far from its first guess counts as a little error, the less the
    more it may be off.
    """
    rows, micro, first = timed(report), report.get("micro", {}), Costs()
    barriers = [us for what, us in micro.items() if what.startswith("barrier of")]
    if barriers:
        first = first._replace(barrier=float(np.median(barriers)))
    free = [name for name in Costs._fields if name != "barrier" or not barriers]
    widths, start = np.log([SOURCES[name].off for name in free]), np.log([getattr(first, name) for name in free])

    def costs(at: Any) -> Costs:
        return first._replace(**dict(zip(free, map(float, np.exp(at)))))

    def wrong(at: Any) -> Any:
        found = residuals(costs(at), limits, rows)
        return np.concatenate([found / len(found) ** 0.5, 1e-3 * (at - start) / widths])

    at, damping = start, 1e-3
    now = wrong(at)
    for _ in range(40):
        slopes = np.stack([(wrong(at + 1e-4 * unit) - now) / 1e-4 for unit in np.eye(len(at))], 1)
        step = np.linalg.lstsq(np.vstack([slopes, damping * np.eye(len(at))]), np.append(-now, 0 * at), rcond=None)[0]
        then = wrong(at + step)
        if better := then @ then < now @ now:
            at, now = at + step, then
        damping *= 0.3 if better else 4
        if np.abs(step).max() < 1e-4:
            break
    return costs(at)
