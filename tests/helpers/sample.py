"""Which of a long list of planted bugs or cases `make check` tries: every fifth, and `make mutants` (RNN_MUTANTS=all) all of them."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def drawn(items: Sequence[Item], every: int = 5) -> list[Item]:
    """Every fifth item. Where it begins follows from the texts of all: a change of what is listed draws others."""
    if os.environ.get("RNN_MUTANTS") == "all":
        return list(items)
    found = list(items)[zlib.crc32(repr(items).encode()) % every :: every]
    print(f"{len(found)} of a list of {len(items)}; RNN_MUTANTS=all tries all of them")
    return found
