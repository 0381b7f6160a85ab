"""Sizes and times of pages in Chromium, as a table, with the machine named.

    python -m tests.helpers.page_times rnn_from_scratch/explain/README.md     # without a file it prints the table

Each time is the shortest of several, after the browser has warmed up; what a reader waits for at the first touch is longer. It ends
when the page is computed, filled and laid out.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from rnn_from_scratch import cells, init_params
from rnn_from_scratch.explain import page
from rnn_from_scratch.verify.table import rewrite

from .browser import Tab, chromium

HEADS = ["page", "kB", "opens in", "knob to picture", "chosen character", "by trying, at a stretch"]
WORK = """async () => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const best = async (act, count, rest) => {
    let least = Infinity;
    for (let n = 0; n < count; n++) {
      const began = performance.now();
      act(n);
      document.body.offsetHeight;
      least = Math.min(least, performance.now() - began);
      await wait(rest);
    }
    return least;
  };
  const knob = document.querySelector("#knobs input[type=range]");
  const turn = await best((n) => { knob.value = 0.1 * (n % 5); knob.dispatchEvent(new Event("input")); }, 12, 30);
  const strip = document.querySelector("#by-gradient");
  if (!strip) return [turn, null, null];
  const choose = await best((n) => strip.children[strip.children.length - 3 - (n % 2)].click(), 12, 30);
  let longest = 0;
  const longer = (list) => list.getEntries().forEach((entry) => { longest = Math.max(longest, entry.duration); });
  const observer = new PerformanceObserver(longer);
  await wait(300);
  observer.observe({ entryTypes: ["longtask"] });
  const began = performance.now();
  while (!document.querySelector("#by-trying[data-done]") && performance.now() - began < 60000) await wait(50);
  return [turn, choose, longest];
}"""


def layers(cell: Any, units: int, count: int, inputs: int) -> list:
    return [(cell, init_params(cell, inputs if n == 0 else units, units, n)) for n in range(count)]


def models() -> dict[str, tuple[tuple, dict[str, Any]]]:
    """Title -> what page takes."""
    rng, V = np.random.default_rng(0), 65
    found: dict[str, tuple[tuple, dict[str, Any]]] = {
        "LSTM 4, 12 steps": ((layers(cells.LSTM(), 4, 1, 1), rng.standard_normal((12, 1))), {}),
        "LSTM 16, 40 steps": ((layers(cells.LSTM(), 16, 1, 1), rng.standard_normal((40, 1))), {}),
        "LSTM 150, 100 steps": (
            (layers(cells.LSTM(), 150, 1, 1), rng.standard_normal((100, 1))),
            {"kind": "series", "head": dense(rng, 150, 1)},
        ),
    }
    for units, count in ((128, 1), (256, 2)):
        more = {"before": {"embedding": rng.standard_normal((V, 64)).astype("float32")}, "head": dense(rng, units, V, "softmax")}
        names = [chr(48 + n) for n in range(V)]
        found[f"text, {count} x LSTM {units}, 100 steps"] = (
            (layers(cells.LSTM(), units, count, 64), rng.integers(0, V, 100)),
            {**more, "vocabulary": names, "labels": names},
        )
    return found


def dense(rng: np.random.Generator, rows: int, columns: int, activation: str = "linear") -> dict[str, Any]:
    return {
        "W": rng.standard_normal((rows, columns)).astype("float32"),
        "b": np.zeros(columns, "float32"),
        "activation": activation,
        "reads": "all",
    }


def measure() -> list[str]:
    lines = ["| " + " | ".join(HEADS) + " |", "| --- |" + " --: |" * (len(HEADS) - 1)]
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for title, (args, more) in models().items():
            path = page(*args, **more, out=Path(folder, "x.html"))
            tab = Tab(browser, path)
            assert tab.selftest == "ok", title
            opened = tab.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
            times = [opened, *tab.page.evaluate(WORK)]
            shown = ["-" if t is None else f"{t:.0f} ms" if t >= 10 else f"{t:.1f} ms" for t in times]
            lines.append(f"| {title} | {path.stat().st_size / 1000:.0f} | {' | '.join(shown)} |")
            tab.page.close()
        lines.append(f"\nChromium {browser.version} on {processor()}, {os.cpu_count()} cores, at a load of {os.getloadavg()[0]:.1f}.")
    return lines


def processor() -> str:
    try:
        return re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]  # type: ignore[index]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    made = "\n".join(measure())
    if sys.argv[1:]:
        rewrite(Path(sys.argv[1]), "pages", made)
    print(made)
