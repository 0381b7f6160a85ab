"""A lesson's script -> its blocks, run one by one; one HTML file; a notebook.

Scripts are in the percent format that editors know: `# %%` begins code, `# %% [markdown]` text, tags=["predict"] a question with
three answers, tags=["answer"] what came out. What a script shows by plt.show() is its figure; the figure's label is the alt text.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HEAD = re.compile(r'^# %%(?: \[(markdown)\])?(?: tags=\["(\w+)"\])?\n', re.M)
FIGURES: Any = {"svg.hashsalt": "lesson", "svg.fonttype": "none", "font.size": 11.0, "axes.grid": True, "grid.alpha": 0.3}
SVG: dict[str, Any] = {"format": "svg", "transparent": True, "metadata": dict.fromkeys(("Date", "Creator", "Format", "Type"))}
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title><style>
{style}</style></head><body>
{before}<main>
{body}</main>
{after}</body></html>
"""


class Block(NamedTuple):
    """A part of a script: markdown without its comment marks, or code; `line` is that of its first line in the script."""

    kind: str  # markdown, code, predict, answer
    text: str
    line: int


class Step(NamedTuple):
    """A block that was run: what it printed, and the figures that it showed."""

    block: Block
    said: str = ""
    figures: tuple[Any, ...] = ()


def blocks(script: str) -> Iterator[Block]:
    """The parts of a script, in order."""
    heads = list(HEAD.finditer(script))
    for head, end in zip(heads, [*(h.start() for h in heads[1:]), len(script)]):
        body, line = script[head.end() : end], script.count("\n", 0, head.end()) + 1
        if head[1]:
            yield Block(head[2] or "markdown", re.sub(r"^# ?", "", body, flags=re.M).strip(), line)
        else:
            yield Block("code", body.strip("\n"), line + len(body) - len(body.lstrip("\n")))


def play(path: Path) -> Iterator[Step]:
    """Run a script block by block, each when the one before has been taken. What the script raises comes out as it is."""
    names: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    for block in blocks(path.read_text(encoding="utf-8")):
        yield run(block, names, path) if block.kind == "code" else Step(block)


def run(block: Block, names: dict[str, Any], path: Path) -> Step:
    """One block of code, with the line numbers of its file; plt.show() keeps the figures."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figures: list[Any] = []
    said, show = io.StringIO(), plt.show

    def keep(*_: Any, **__: Any) -> None:
        figures.extend(plt.figure(number) for number in plt.get_fignums())
        plt.close("all")

    plt.show = keep
    try:
        with contextlib.redirect_stdout(said), plt.rc_context(FIGURES):
            exec(compile("\n" * (block.line - 1) + block.text, str(path), "exec"), names)
    finally:
        plt.show = show
    return Step(block, said.getvalue(), tuple(figures))


def svg(figure: Any) -> str:
    """A figure as an <svg> element; the same figure gives the same bytes."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context(FIGURES):
        figure.savefig(file, **SVG)
    drawing = file.getvalue().partition("<svg")[2]
    return f'<svg role="img" aria-label="{html.escape(" ".join(figure.get_label().split()))}"{drawing}'


def part(step: Step) -> str:
    """A step as HTML."""
    from markdown_it import MarkdownIt
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    if step.block.kind != "code":
        text = MarkdownIt("commonmark").enable("table").render(step.block.text).replace("<pre>", '<pre tabindex="0">')
        if step.block.kind == "answer":
            return f"<details><summary>The answer</summary>\n{text}</details>\n"
        return f'<section class="predict">\n{text}</section>\n' if step.block.kind == "predict" else text
    found = highlight(step.block.text, PythonLexer(), HtmlFormatter(nowrap=True))
    made = [f'<pre tabindex="0"><code>{found}</code></pre>\n']
    if step.said:
        made.append(f'<pre tabindex="0" class="said"><samp>{html.escape(step.said)}</samp></pre>\n')
    return "".join(made + [f"<figure>{svg(figure)}</figure>\n" for figure in step.figures])


def page(title: str, body: str, before: str = "", after: str = "") -> str:
    """One HTML file that asks the network for nothing. before, after: HTML around <main>."""
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return PAGE.format(policy=POLICY, title=html.escape(title), style=style, body=body, before=before, after=after)


def notebook(script: str, more: list[Block]) -> str:
    """A script as a notebook (nbformat 4.5), not run; `more` are blocks to put at its end."""
    cells: list[dict[str, Any]] = []
    for number, block in enumerate([*blocks(script), *more], 1):
        text = block.text
        if block.kind == "answer":
            text = f"<details><summary>The answer</summary>\n\n{text}\n\n</details>"
        code = block.kind == "code"
        cell: dict[str, Any] = {"cell_type": "code" if code else "markdown", "id": f"block-{number}", "metadata": {}}
        cells.append({**cell, "source": text.splitlines(keepends=True), **({"execution_count": None, "outputs": []} if code else {})})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
