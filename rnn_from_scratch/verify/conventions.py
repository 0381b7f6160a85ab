"""Another name of interop/conventions.py."""

import sys

from ..interop import conventions as module
from ..interop.conventions import *  # noqa: F403 - for type checkers

sys.modules[__name__] = module
