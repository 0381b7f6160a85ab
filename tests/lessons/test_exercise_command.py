"""The command `exercise`, as a learner types it: what it says, what it writes, and what somebody's file cannot do to it."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from rnn_from_scratch import cli
from rnn_from_scratch.lessons.exercises import EXERCISES, SOLUTIONS, child, command, parent

SOLVED = EXERCISES["1.1"].text(SOLUTIONS)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def say(capsys, *words):
    """Exit code, and the lines of both streams; no answer is wider than a terminal."""
    code = cli.main(["exercise", *words])
    out, err = capsys.readouterr()
    assert all(len(line) <= 80 for line in out.splitlines()), max(out.splitlines(), key=len)
    return code, (out + err).splitlines()


def verdict(capsys, text, id="1.1"):
    """The exit code, and what is said of a file with this text."""
    EXERCISES[id].file.write_text(text, encoding="utf-8")
    code, lines = say(capsys, id, "--check")
    return code, lines


def test_from_the_stub_to_the_solution(here, capsys):
    assert say(capsys, "1.1")[0] == 0
    assert (here / "exercise_1_1.py").read_text(encoding="utf-8").startswith("# exercise 1.1, seed 0, variant 0\n")
    code, lines = say(capsys, "1.1", "--check")
    assert (code, lines) == (
        1,
        ["1.1  not begun: a neuron that forgets half in 20 steps", "  exercise_1_1.py: fill in weight()"],
    )
    code, lines = say(capsys, "1.1", "--solution")
    assert (code, lines) == (2, ["error: --solution: exercise_1_1.py does not pass yet; --give-up shows it all the same"])
    assert say(capsys, "1.1", "--solution", "--give-up") == (0, SOLVED.splitlines())
    code, lines = verdict(capsys, SOLVED)
    assert code == 0
    assert lines[0].startswith("1.1  right: ")
    assert lines[1].startswith("  why it is so: w = ")
    assert say(capsys, "1.1", "--solution") == (0, SOLVED.splitlines())
    (here / "exercise_1_2.py").write_text("", encoding="utf-8")
    code, lines = say(capsys)
    assert lines[0] == "x 1.1   a neuron that forgets half in 20 steps"
    assert lines[1] == "  1.2   a switch that noise does not turn over (cannot be run)"
    assert lines[-1] == f"1 of {len(EXERCISES)} pass in this folder"


def test_a_file_is_never_overwritten(here, capsys):
    (here / "exercise_1_1.py").write_text("mine", encoding="utf-8")
    assert say(capsys, "1.1") == (2, ["error: exercise_1_1.py: is here already; --check judges it, --reset begins again"])
    assert say(capsys, "1.1", "--reset")[0] == 0
    assert say(capsys, "1.1", "--reset")[0] == 0
    assert (here / "exercise_1_1.old1.py").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["exercise_1_1.old1.py", "exercise_1_1.old2.py", "exercise_1_1.py"]


def test_a_class_has_its_own_version(here, capsys):
    assert say(capsys, "1.1", "--seed", "5", "--variant", "2")[0] == 0
    assert "STEPS = 100\n" in (here / "exercise_1_1.py").read_text(encoding="utf-8")
    text = parent.head(EXERCISES["1.1"], 5, 2) + EXERCISES["1.1"].text(SOLUTIONS, 2)
    assert verdict(capsys, text)[0] == 0  # the first line of the file says which
    assert say(capsys, "1.1", "--check", "--variant", "0")[0] == 1
    assert say(capsys, "1.1", "--check", "--variant", "3") == (2, ["error: --variant: exercise 1.1 has 0 to 2, got 3"])
    code, lines = verdict(capsys, "# exercise 1.1, seed 0, variant 9\n")
    assert code == 2
    assert lines == ["error: exercise_1_1.py: its first line asks for variant 9; exercise 1.1 has 0 to 2"]


def test_hints_come_one_by_one(here, capsys):
    once, twice = say(capsys, "6.1", "--hint")[1], say(capsys, "6.1", "--hint", "--hint")[1]
    assert once[-1] == "one more: rnn-from-scratch exercise 6.1 --hint --hint"
    assert twice[: len(once) - 1] == once[:-1]
    assert say(capsys, "6.1", *["--hint"] * 3)[1][-1] != "one more"


def test_a_wrong_gradient_is_told_with_its_hint(here, capsys):
    text = EXERCISES["2.2"].text(SOLUTIONS).replace("dh = dh * (1 - K) + da @ Wh.T", "dh = da @ Wh.T")
    code, lines = verdict(capsys, text, "2.2")
    assert code == 1
    assert lines[0] == "2.2  wrong: the leaky network: a state that goes two ways"
    assert lines[1].startswith("  gradient of ")
    assert lines[2].startswith("  at [")
    assert lines[3] == "  born at step t = 1: right on the first step of x, wrong on the first 2"
    assert " ".join(lines[4:6]).startswith("  hint: The last step is right, earlier ones are not.")


def test_json_for_a_grader(here, capsys):
    text = EXERCISES["2.1"].text(SOLUTIONS)
    for new, ok, points in ((text, True, 5), (text.replace("da.sum", "da.mean"), False, 4)):
        (here / "mine.py").write_text(new, encoding="utf-8")
        code = cli.main(["exercise", "2.1", "--check", "mine.py", "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert (code, answer["exercise"], answer["ok"], answer["points"], answer["of"]) == (not ok, "2.1", ok, points, 5)
        assert list(answer) == ["exercise", "ok", "status", "points", "of", "findings", "seconds"]
        assert bool(answer["findings"]) != ok


FILES = {  # what a file may do -> exit code, what is said
    "print('hello'); import sys; sys.exit(3)": (2, "line 1: print('hello'); import sys; sys.exit(3): it calls sys.exit; leave"),
    "import os\nos._exit(3)": (2, "it ended Python before it could be judged (exit code 3)"),
    "def weight(:\n    pass": (2, "line 1: invalid syntax: def weight(:"),
    "STEPS = 20\n\n\ndef weight():\n    return 1 / 0": (2, "line 5: return 1 / 0: ZeroDivisionError: division by zero"),
    "STEPS = 20\ndef weight():\n    return None": (2, "TypeError: "),
    "x = 1": (2, "STEPS, weight: in the exercise, but not in exercise_1_1.py"),
    "import nothing_of_this_name": (2, "line 1: import nothing_of_this_name: ModuleNotFoundError: No module named"),
    "STEPS = 20\ndef weight():\n    return bytearray(1 << 40)": (2, "line 3: return bytearray(1 << 40): it asks for more than 2 GB of"),
    "STEPS = 20\ndef weight():\n    return 0.5": (1, "20 steps after a pulse of 1 there should be 0.5 left: got"),
}


@pytest.mark.parametrize("text", FILES)
def test_whatever_a_file_does_becomes_one_clear_line(text, here, capsys):
    code, lines = verdict(capsys, text)
    assert code == FILES[text][0]
    assert FILES[text][1] in " ".join(line.strip() for line in lines)
    assert not any("Traceback" in line for line in lines)


def test_what_a_file_prints_is_shown_below_the_verdict(here, capsys):
    code, lines = verdict(capsys, SOLVED + "\nfor n in range(1000):\n    print(f'line {n} ' + 200 * '.')")
    assert code == 0
    begin = lines.index("  it printed:") + 1
    assert lines[begin].startswith("    line 0 ....")
    assert lines[begin + parent.SHOWN].strip().endswith("lines more")


def test_a_file_that_prints_without_end_is_ended(here, capsys):
    code, lines = verdict(capsys, "while True:\n    print('again and again')")
    assert code == 2
    assert "prints more than 1 MB" in " ".join(line.strip() for line in lines)


@pytest.mark.check
def test_an_endless_loop_is_ended_with_all_that_it_started(here, capsys, monkeypatch):
    monkeypatch.setattr(parent, "SECONDS", 6.0)
    start = "import subprocess, sys, pathlib, time\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    code, lines = verdict(capsys, start + "pathlib.Path('pid').write_text(str(p.pid))\nwhile True:\n    time.sleep(0.01)")
    assert (code, lines[1]) == (2, "  exercise_1_1.py: it did not end within 6 seconds: an endless loop?")
    child_of_it = int((here / "pid").read_text())
    for _ in range(100):
        if not is_alive(child_of_it):
            return
        time.sleep(0.05)
    pytest.fail("it still runs")


def is_alive(pid):
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or " Z " not in stat.read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_watch_judges_what_changes_until_it_is_right(here, capsys, monkeypatch):
    monkeypatch.setattr(command, "POLL", 0.05)
    (here / "exercise_1_1.py").write_text(SOLVED.replace("0.5 **", "0.6 **"), encoding="utf-8")
    judge, seen = parent.check, []

    def counted(*arguments):
        seen.append(judge(*arguments))
        if len(seen) == 1:
            threading.Timer(0.3, lambda: (here / "exercise_1_1.py").write_text(SOLVED, encoding="utf-8")).start()
        return seen[-1]

    monkeypatch.setattr(parent, "check", counted)
    code, lines = say(capsys, "1.1", "--watch")
    assert code == 0
    assert [outcome.status for outcome in seen] == ["wrong", "right"]
    assert [line[:11] for line in lines if line.startswith("1.1")] == ["1.1  wrong:", "1.1  right:"]


def test_ctrl_c_ends_a_watch(here, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", pressed)
    assert cli.main(["exercise", "1.1", "--watch"]) == 130


REFUSED = {
    "9.9": "exercise: expected one of 1.1, 1.2,",
    "--check": "--check: which exercise?",
    "--seed 1": "--seed: which exercise?",
    "1.1 --json": "--json: only with --check; leave it out",
    "1.1 mine.py": "FILE: only with --check; leave it out",
    "1.1 --give-up": "--give-up: only with --solution; leave it out",
    "1.1 --check --hint": "--check and --hint: expected one of them",
    "1.1 --watch --json": "--json: only with --check; leave it out",
    "1.1 --check --watch --json": "--json and --watch: expected one of them, got both",
    "1.1 --check": "exercise_1_1.py: cannot be read: No such file or directory; rnn-from-scratch exercise 1.1 writes one",
    "7.2 --variant 1": "--variant: exercise 7.2 has 0 to 0, got 1",
}


@pytest.mark.parametrize("line", REFUSED)
def test_wrong_use_is_one_line(line, here, capsys):
    assert cli.main(["exercise", *line.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {REFUSED[line]}")
    assert said.count("\n") == 1
    assert list(here.iterdir()) == []


def test_the_limits_are_real():
    assert child.MEMORY == 2 << 30
    assert parent.SECONDS == 20
