"""Every lesson runs as a script, as a page, in the terminal and as a notebook; the page needs no network and is the same twice."""

import ast
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec

import pytest

from rnn_from_scratch import cells, cli
from rnn_from_scratch.lessons import lessons, read, render, run

from ..conftest import ROOT
from ..helpers.sample import drawn

ALL = {lesson.name: lesson for lesson in lessons()}
SHORT = "memory"  # what runs quickest
LONG = ("clip", "truncate", "eos", "embeddings", "attention", "thread", "persistent")  # two seconds and more; the last two compile kernels
MARKS = {name: [pytest.mark.check] * (name in LONG) + [pytest.mark.skipif(bool(run.lacks(ALL[name])), reason="no g++")] for name in ALL}
RUN = [pytest.param(name, marks=marks) for name, marks in MARKS.items()]


class Page(HTMLParser):
    """What is in a page: tags with their attributes, and whether each tag that opens is closed."""

    EMPTY = ("meta", "br", "hr", "img", "use", "path")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


@pytest.mark.parametrize("name", [param for name, param in zip(ALL, RUN) if name not in LONG])  # the others: test_site.py
def test_the_page_of_a_lesson(name):
    examine(run.page(ALL[name]))


def examine(text):
    """What every page of a lesson has, and has not."""
    page = Page(text)
    assert page.open == []
    (figure,) = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert figure["role"] == "img"
    assert len(figure["aria-label"]) > 100
    assert [tag for tag, _ in page.tags].count("h1") == 1
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "img")
        assert attrs.get("src") is None
        for name_of in ("href", "xlink:href"):
            assert attrs.get(name_of, "#").startswith("#"), attrs
    assert "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'" in text
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert len(re.findall(r"<code>rnn-from-scratch exercise \d", text)) == 2


@pytest.mark.parametrize("name", ALL)
def test_what_a_script_has(name):
    """Question, minutes and what can be explained afterwards at the head; one predict with three answers, one answer; claims at the end."""
    lesson, text = ALL[name], ALL[name].path.read_text(encoding="utf-8")
    assert lesson.path.name == f"{lesson.number:02}_{name}.py"
    assert lesson.question.endswith("?")
    assert "**Afterwards you can explain**" in text
    blocks = list(render.blocks(text))
    assert [block.kind for block in blocks].count("predict") == [block.kind for block in blocks].count("answer") == 1
    for block in blocks:
        if block.kind == "predict":
            assert re.findall(r"^- \*\*(\w)\*\*", block.text, re.M) == ["a", "b", "c"]
        if block.kind == "answer":
            assert re.match(r"\*\*Answer: [abc]\.\*\* ", block.text)
    assert "\n# ## What this lesson claims\n" in text
    assert max(map(len, text.splitlines())) <= 88
    code = [line for block in blocks if block.kind == "code" for line in block.text.splitlines()]
    assert len([line for line in code if line.strip()]) <= 130
    modules = {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    assert {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) <= {"numpy", "matplotlib", "rnn_from_scratch"}


def test_the_numbers_are_a_path():
    numbers = [lesson.number for lesson in lessons()]
    assert numbers == sorted(set(numbers))
    assert numbers == list(range(1, 16))


def test_a_script_without_a_head_is_refused(tmp_path):
    (tmp_path / "08_new.py").write_text("# %% [markdown]\n# # New\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"08_new.py: expected '# # NUMBER. QUESTION'"):
        read(tmp_path / "08_new.py")


@pytest.mark.check
@pytest.mark.parametrize("name", RUN)
def test_a_lesson_is_an_ordinary_script(name, tmp_path):
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", ALL[name].path]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.check
def test_lessons_hold_on_the_reference_too(monkeypatch):
    """As on a machine without a compiler."""
    from rnn_from_scratch import backends, init_params
    from rnn_from_scratch.backends import native

    monkeypatch.setattr(native, "available", lambda: (False, "left out for this test"))
    params = init_params(cells.LSTM(), 3, 4)
    assert backends.choose(cells.LSTM(), params, params["Wx"][None]).name == "reference"
    for name in drawn([name for name, lesson in ALL.items() if not run.lacks(lesson)], every=3):
        assert list(run.played(ALL[name]))


def test_the_path(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["lesson"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [str(lesson.number) for lesson in ALL.values()]
    assert all(re.match(r"\d+ +\S.*\?  \(\d+ minutes\)$", line) and len(line) <= 80 for line in lines)


def test_in_the_terminal(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main(["lesson", "1"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "Can one neuron remember?" in out
    assert "  | step 29: h = 0.0471" in out
    assert "Your answer" not in out
    assert (tmp_path / "lesson_01.png").read_bytes().startswith(b"\x89PNG")


def test_it_asks_who_sits_before_it(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(run.typer, "prompt", lambda *words, **_: asked.append(words) or "A")
    run.in_terminal(ALL[SHORT], ask=True)
    out = capsys.readouterr().out
    assert len(asked) == 1
    assert out.index("Predict.") < out.index("step 1000: h = 0.0387") < out.index("You said a.") < out.index("Answer: c.")


def test_a_claim_that_does_not_hold_is_told(capsys, monkeypatch, tmp_path):
    text = ALL[SHORT].path.read_text(encoding="utf-8").replace("fading = run_neuron(0.9,", "fading = run_neuron(0.8,")
    (tmp_path / "01_memory.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "lessons", lambda: [read(tmp_path / "01_memory.py")])
    assert cli.main(["lesson", "1"]) == 1
    line = next(n for n, words in enumerate(text.splitlines(), 1) if words.startswith("assert abs(fading"))
    assert capsys.readouterr().err == f"lesson 1: a claim does not hold here, line {line}: assert abs(fading[29] - 0.9**29) < 1e-15\n"


def test_a_notebook(tmp_path, capsys):
    assert cli.main(["lesson", "04_vanish", "--notebook", str(tmp_path / "a.ipynb")]) == 0
    text = (tmp_path / "a.ipynb").read_text(encoding="utf-8")
    book = json.loads(text)
    code = "".join(line for cell in book["cells"] if cell["cell_type"] == "code" for line in [*cell["source"], "\n"])
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(ALL["vanish"].path.read_text(encoding="utf-8")))
    assert "rnn-from-scratch exercise 4.2" in text
    if not find_spec("nbformat"):
        pytest.skip("needs nbformat to validate the notebook")
    import nbformat

    nbformat.validate(nbformat.from_dict(book))


def test_a_copy(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lesson", "4", "--copy"]) == 0
    assert (tmp_path / "04_vanish.py").read_bytes() == ALL["vanish"].path.read_bytes()
    assert cli.main(["lesson", "4", "--copy"]) == 2
    assert capsys.readouterr().err == "error: 04_vanish.py: is here already; move it away first\n"


REFUSED = {
    "99": f"lesson: expected one of {', '.join(str(each.number) for each in ALL.values())}, got 99; rnn-from-scratch lesson lists them",
    "--copy": "--copy: which lesson? rnn-from-scratch lesson N --copy",
    "4 --copy --html a.html": "--html and --copy: expected one of them",
    "4 --site site": "--site: 4: no such run directory; lessons are not named, the site has all of them",
    "4 5": "lesson: expected one number or name, got 4 5",
    "--site site . .": "--site: expected run directories of different names, got . .",
    "4 --html none/a.html": "--html none/a.html: no such folder: none",
    "--no-predict": "--no-predict: which lesson?",
}


@pytest.mark.parametrize("line", REFUSED)
def test_wrong_use_is_one_line(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lesson", *line.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {REFUSED[line]}")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name, lesson in ALL.items() if lesson.needs_gxx])
def test_a_lesson_says_that_it_lacks_a_compiler(name, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    number = ALL[name].number
    assert cli.main(["lesson", str(number)]) == cli.main(["lesson", str(number), "--html", "a.html"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(rf"error: lesson {number}: (needs g\+\+|the emulator runs on Linux), .*", line) for line in said)
    assert len(said) == 2
    assert list(tmp_path.iterdir()) == []
    done = subprocess.run([sys.executable, ALL[name].path], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr.startswith(f"lesson {number}"), done.stderr.count("\n")) == (2, True, 1)
    assert cli.main(["exercise", f"{number}.1"]) == 2
    assert re.fullmatch(rf"error: exercise {number}.1: (needs g\+\+|the emulator runs on Linux), .*\n", capsys.readouterr().err)
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    assert cli.main(["exercise", f"{number}.1", "--check", "mine.py"]) == 2
    assert "  mine.py: needs g++, " in capsys.readouterr().out


def test_a_site_without_a_compiler_says_what_it_lacks(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(run, "lessons", lambda: [lesson for lesson in lessons() if lesson.name in ("memory", "thread")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["lesson", "--site", str(tmp_path / "site")]) == 0
    assert capsys.readouterr().err.startswith("--site: without lesson 14: ")
    assert "(left out: it needs g++)" in (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert not (tmp_path / "site/14_thread.html").exists()
