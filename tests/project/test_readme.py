"""What README shows is what happens."""

import re

import pytest

from ..conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_worked_example_says_what_is_printed_there():
    section = README.split("## Check your own cell")[1].split("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.S)[1]
    shown = [line[4:] for line in re.search(r"\n    AssertionError: .*?\n\n", section, re.S)[0].strip("\n").splitlines()]
    shown[0] = shown[0].removeprefix("AssertionError: ")
    assert shown.pop() == "  ..."
    names = {}
    exec(code, names)
    with pytest.raises(AssertionError) as failure:
        names["test_gradients"]()
    numbers = re.compile(r"\d\.\d+(e[+-]\d+)?")  # the last digits depend on the processor
    found = str(failure.value).splitlines()[: len(shown)]
    assert [numbers.sub("#", line) for line in found] == [numbers.sub("#", line) for line in shown], "\n".join(found)

    wrong = "(n - h_prev) * f,"
    assert code.count(wrong) == 1
    exec(code.replace(wrong, "(n - h_prev) * f * (1 - f),"), names)
    names["test_gradients"]()
