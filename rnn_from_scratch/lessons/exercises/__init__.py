"""The exercises: one row each in EXERCISES (rows.py). What a learner gets is in stubs/, what is right in ../solutions/, for all to read.

command.py has the command `exercise`. The learner's file runs in a process of its own: child.py there, parent.py here. What is
right is decided in judges.py: gradients by the checker, from the forward pass in the file; behaviours.py judges what has no
gradient, kernels.py the kernels of lessons 14 and 15.
"""

from __future__ import annotations

from .row import SOLUTIONS, STUBS, Exercise
from .rows import ROWS

__all__ = ["EXERCISES", "SOLUTIONS", "STUBS", "Exercise"]

EXERCISES = {row.id: row for row in ROWS}
