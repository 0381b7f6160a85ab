"""The kernels run on the threads of torch's OpenMP, where that is found: two sets of threads that wait in loops for their next work would
keep each other off the cores.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

from ..backends.native import available
from ..backends.native.loader import library
from ..backends.native.threads import use_team


def runtime() -> ctypes.CDLL | None:
    """The GNU OpenMP that torch brought along and has loaded; None if it uses another one."""
    folder, loaded = Path(torch.__file__).parent, getattr(os, "RTLD_NOLOAD", 0)
    for path in sorted([*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]) if loaded else []:
        try:
            return ctypes.CDLL(str(path), mode=loaded | os.RTLD_NOW)
        except OSError:  # it lies there, and is not in use
            continue
    return None


def join() -> bool:
    """Run the kernels on the threads of torch's OpenMP. False if there is none to be found, or no native library."""
    found = runtime() if available()[0] else None
    if found is not None:
        use_team(library(), found)
    return found is not None
