"""Another name of interop/diagnose.py."""

import sys

from ..interop import diagnose as module
from ..interop.diagnose import *  # noqa: F403 - for type checkers

sys.modules[__name__] = module
