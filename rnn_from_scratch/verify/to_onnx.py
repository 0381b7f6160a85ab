"""Another name of interop/to_onnx.py."""

import sys

from ..interop import to_onnx as module
from ..interop.to_onnx import *  # noqa: F403 - for type checkers

sys.modules[__name__] = module
