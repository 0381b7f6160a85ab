"""What survives the sweep, and why it changes nothing: file, function, the mutated line -> the reason.

`make check` fails on a survivor that is not listed, and on a line here that no longer survives.
"""

from __future__ import annotations

COPIES = "the same values in a fresh array"
ONE_OPERAND = "GRU has one operand: it does not look at k"
NOT_SEEN = "what stands at a masked step is never seen: the weight products drop its rows, the carry is selected"
BRANCH = "both branches give the same value where exp overflows in neither"

HARMLESS = {
    "cells/activations.py sigmoid: positive = a.real > 0": BRANCH,
}
