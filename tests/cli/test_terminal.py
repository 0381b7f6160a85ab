"""On a terminal of 80 columns no line is longer or wrapped, and no text is taken for markup; outputs that take nothing are one line."""

import os
import re
import subprocess
import sys

import pytest

from rnn_from_scratch import cli

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")


def on_terminal(columns, cwd, *args):
    """The lines that a command prints on a terminal, each as it stands in the end, without colours."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}, "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-m", "rnn_from_scratch", *args], stdout=theirs, stderr=theirs, cwd=cwd, env=env)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the end, on Linux
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait(timeout=120) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode())
    return [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in plain.split("\n")]


def test_books_fit_and_keep_their_brackets(tmp_path):
    lines = on_terminal(80, tmp_path, "books")
    assert max(map(len, lines)) <= 80
    assert lines == on_terminal(200, tmp_path, "books")
    assert "packed: packed as [batch, steps, inputs], unstacked and restacked" in lines


COMMANDS = [name or "" for name in sorted(command.name or command.callback.__name__ for command in cli.app.registered_commands)]


@pytest.mark.check
@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_fits(command, tmp_path):
    lines = on_terminal(80, tmp_path, command, "--help")
    assert max(map(len, lines)) <= 80 and any("Usage:" in line for line in lines)


@pytest.mark.check
@pytest.mark.parametrize("args", [["doctor"], ["presets"], ["verify", "--cell", "coupled_lstm"]], ids=" ".join)
def test_the_tables_fit(args, tmp_path):
    lines = on_terminal(80, tmp_path, *args)
    assert max(map(len, lines)) <= 80 and not any("…" in line for line in lines)


@pytest.mark.check
def test_the_lines_of_a_run_fit(tmp_path):
    (tmp_path / "a[b].txt").write_text("a b\n" * 600, encoding="utf-8")
    small = ["--epochs", "2", "--units", "4", "--batch-size", "4", "--bptt", "9", "--data", "a[b].txt", "--out", "run[1]"]
    lines = on_terminal(80, tmp_path, "train", "char", *small)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "a[b].txt"
    assert len([line for line in lines if re.fullmatch(r"epoch \d/2: loss \S+ bits \S+, validation \S+ \S+, \S+ s", line)]) == 2
    assert "all in run[1]" in lines


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["doctor", "presets", "--help"])
def test_a_full_output_is_one_line(command):
    with open("/dev/full", "w") as full:
        ran = [sys.executable, "-m", "rnn_from_scratch", command]
        done = subprocess.run(ran, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "error: standard output cannot be written: No space left on device\n")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a folder that takes no files")
@pytest.mark.parametrize("args", [["bench", "--report", "/proc/x"], ["verify", "--json", "/proc/x.json"]], ids=" ".join)
def test_a_place_that_takes_no_files_is_one_line(args, capsys):
    assert cli.main(args) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error: {args[1]} {args[2]}: cannot be ")
