"""Reads the JSON of pytest-benchmark: Markdown tables, the plots, the table in README.md.

    python -m bench.report out/bench.json --report out --readme bench/README.md  # several files: one table of the rows of all
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rnn_from_scratch.data import InputError
from rnn_from_scratch.verify.table import rewrite

from . import plots, steady
from .cases import STEP, TRAIN

Row = dict[str, Any]
TITLES = {
    "gemm": "products alone",
    "torch": "torch",
    "keras": "tf.keras",
    "keras-xla": "tf.keras XLA",
    "blocklstm": "BlockLSTM",
    "onnxruntime": "ONNX Runtime",
    "reference": "NumPy",
}
TABLES = {"Forward and all gradients": TRAIN, "Inference": "inference", "One step of a stream": STEP}
ABOVE = "A peer's column is its time divided by ours: above 1 we are faster. Products alone: the matrix products of the pass, by NumPy."


class Results(NamedTuple):
    """The timed rows, each with suite, impl, cell, shape, sizes, pass, ms, min_ms and what its suite adds; and the machine."""

    rows: list[Row]
    machine: dict[str, Any]

    def suite(self, name: str) -> list[Row]:
        return [row for row in self.rows if row["suite"] == name]


def load(path: Path) -> Results:
    """Raises InputError for a file that is not there or that `rnn-from-scratch bench` did not write."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [{**b["extra_info"], "name": b["name"], "min_ms": b["stats"]["min"] * 1e3} for b in found["benchmarks"]]
        rows = [row for row in rows if "suite" in row]  # without one: it failed, or was cut short
        found["machine_info"]["ours"]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected the bench.json of an earlier `rnn-from-scratch bench --report`") from error
    return Results(rows, found["machine_info"])


def joined(paths: list[Path]) -> Results:
    """The rows of several files, which one machine with one set of versions wrote. Raises InputError where it was not so."""
    found = [load(path) for path in paths]
    for path, results in zip(paths, found):
        if where(results) != where(found[0]):
            machines = f"{paths[0]}: {where(found[0])}\n{path}: {where(results)}"
            raise InputError(f"expected files of one machine with one set of versions, got\n{machines}")
    return Results([row for results in found for row in results.rows], found[0].machine)


def table(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table; the first two columns are text, the others numbers."""
    rule = ["---", "---"] + ["--:"] * (len(head) - 2)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))


def shown(row: Row) -> str:
    """'char 50,50,64,128'"""
    sizes = ",".join(map(str, row["sizes"]))
    return sizes if row["shape"] == sizes else f"{row['shape']} {sizes}"


def number(value: float) -> str:
    """Three digits; of a ratio or a time below 0.1, three that are not 0."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"


def beside(row: Row) -> str:
    """'1.50 ±3%', with a mark if it is unsteady."""
    return f"{steady.marked(number(row['ratio']), row)} {steady.plus_minus(row)}".rstrip()


def peers_lines(results: Results, what: str) -> tuple[list[str], list[list[str]]]:
    """The peers, and one line for each cell and shape: our time and GFLOP/s, then each peer's time by ours, or ''."""
    rows = [row for row in results.suite("peer") if row["pass"] == what]
    found = dict.fromkeys(row["impl"] for row in rows)
    peers = [name for name in (*TITLES, *(name for name in found if name not in TITLES)) if name in found]
    lines = []
    for cell, shape in dict.fromkeys((row["cell"], row["shape"]) for row in rows):
        here = {row["impl"]: row for row in rows if (row["cell"], row["shape"]) == (cell, shape)}
        first = next(iter(here.values()))
        ms = median([ms for row in here.values() for ms in row["ours_ms"]])
        ratios = [beside(here[peer]) if peer in here else "" for peer in peers]
        lines.append([cell, shown(first), number(ms), number(first["gflop"] / ms * 1e3), *ratios])
    return [TITLES.get(peer, peer) for peer in peers], lines


def peers_table(results: Results, what: str) -> str:
    """peers_lines as a Markdown table; '' where nothing was run."""
    peers, lines = peers_lines(results, what)
    return table(["cell", "B,T,I,H", "ms", "GFLOP/s", *peers], lines) if lines else ""


def backends_table(results: Results, what: str) -> str:
    """One line for each cell and shape: what of_backend says of each backend."""
    rows = [row for row in results.suite("sequence") if row["pass"] == what]
    backends = list(dict.fromkeys(row["impl"] for row in rows))
    lines = []
    for cell, shape in dict.fromkeys((row["cell"], row["shape"]) for row in rows):
        here = {row["impl"]: row for row in rows if (row["cell"], row["shape"]) == (cell, shape)}
        values = [of_backend(here[b]) if b in here else [""] * 4 for b in backends]
        lines.append([cell, shown(next(iter(here.values()))), *(value for group in values for value in group)])
    head = [title for backend in backends for title in (f"{backend} ms", "spread", "GFLOP/s", "products alone")]
    return table(["cell", "B,T,I,H", *head], lines) if rows else ""


def of_backend(row: Row) -> list[str]:
    """Milliseconds, spread, GFLOP/s, and the products alone by ours: '?' where that was nonsense."""
    share = number(row["share"]) if "share" in row else "?"
    return [steady.marked(number(row["ms"]), row), steady.plus_minus(row), number(row["gflops"]), share]


def variants_table(results: Results) -> str:
    lines = []
    for row in results.suite("variant"):
        against = f"{row['variant']}, against {row['plain']}"
        lines.append([against, f"{shown(row)}, {row['impl']}", number(row["plain_ms"]), number(row["ms"]), beside(row)])
    return table(["variant", "B,T,I,H, backend", "plain ms", "ms", "ratio"], lines) if lines else ""


def memory_table(results: Results) -> str:
    rows = [row for row in results.suite("sweep") if "peak_bytes" in row]
    impls, lines = list(dict.fromkeys(row["impl"] for row in rows)), []
    for cell, shape in dict.fromkeys((row["cell"], row["shape"]) for row in rows):
        here = {row["impl"]: row["peak_bytes"] / 2**20 for row in rows if (row["cell"], row["shape"]) == (cell, shape)}
        lines.append([cell, shape, *(number(here[impl]) if impl in here else "" for impl in impls)])
    return table(["cell", "B,T,I,H", *(f"{impl} MiB" for impl in impls)], lines) if lines else ""


def where(results: Results) -> str:
    """One sentence about the machine."""
    m = results.machine
    processor = m.get("cpu", {}).get("brand_raw") or m.get("processor") or m.get("machine", "unknown processor")
    versions = ", ".join(f"{name} {number}" for name, number in m["versions"].items())
    held = "".join(f", {name}={value}" for name, value in m["settings"].items())
    return f"{processor}, {m['isa']}, {m['threads']} threads{held}; {versions}."


def unsteady_rows(results: Results) -> str:
    """'Load 2.1 on 2 processors. 3 of 40 rows are unsteady ...', as a sentence or two."""
    unsteady = sum(bool(row.get("unsteady")) for row in results.rows)
    load = results.machine.get("load", "")
    rows = f"{unsteady} of {len(results.rows)} rows are unsteady. {steady.LEGEND}" if unsteady else "Every row is steady."
    return f"{load.capitalize()}. {rows}" if load else rows


def readme_table(results: Results) -> str:
    """What bench/README.md shows: forward + backward and inference beside the peers."""
    titled = [(title, peers_table(results, what)) for title, what in TABLES.items()]
    head = f"The `{results.machine['ours']}` backend in float32 on {where(results)} {ABOVE}"
    head += " Each is timed alone in a process of its own, in turn with ours; the median over the pairs."
    return "\n\n".join([head, *(part for title, text in titled if text for part in (f"{title}:", text))])


def markdown(results: Results, pictures: list[str]) -> str:
    """The whole report."""
    parts = ["# Benchmarks", unsteady_rows(results), readme_table(results)]
    titled = [(f"Backends, {what}", backends_table(results, what)) for what in ("inference", "forward", TRAIN)]
    titled += [("Variants, forward + backward", variants_table(results)), ("Memory, forward + backward", memory_table(results))]
    for title, text in titled:
        parts += [f"## {title}", text] if text else []
    return "\n\n".join(parts + [f"![{name}]({name})" for name in pictures]) + "\n"


def write(results: Results, folder: Path) -> list[Path]:
    """bench.md and the plots, in a folder that exists. Returns the files."""
    pictures = []
    for name, figure in plots.figures(results.rows, results.machine["ours"]).items():
        pictures.append(folder / f"{name}.png")
        figure.savefig(pictures[-1], dpi=150)
    page = folder / "bench.md"
    page.write_text(markdown(results, [picture.name for picture in pictures]), encoding="utf-8")
    return [page, *pictures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, nargs="+")
    parser.add_argument("--report", type=Path, help="write bench.md and plots to this folder")
    parser.add_argument("--readme", type=Path, help="rewrite the table between <!-- bench: begin --> and <!-- bench: end -->")
    given = parser.parse_args()
    try:
        results = joined(given.json)
    except InputError as error:
        parser.error(str(error))
    if given.report:
        given.report.mkdir(parents=True, exist_ok=True)
        print(*write(results, given.report), sep="\n")
    if given.readme:
        rewrite(given.readme, "bench", readme_table(results))


if __name__ == "__main__":
    main()
