"""Functions of TensorFlow's, torch's and JAX's tensors, run on NumPy arrays; their gradients, and which upstream gradients they take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...typing import Array


def differentiable(tensor: Any) -> bool:
    return "float" in str(tensor.dtype) or "complex" in str(tensor.dtype)


class TensorFlow:
    """Runs functions of `count` tensors, then of variables, then of tensors again; the variables get their own values back."""

    upstream = ("dense", "missing")  # tensors of TensorFlow have one layout

    def __init__(self, tf: Any, count: int = 0, variables: Sequence[Any] = (), own: Sequence[Array] = ()):
        self.tf, self.count, self.variables, self.own = tf, count, list(variables), own

    def run(self, given, function):
        behind = self.count + len(self.variables)
        try:
            for variable, value in zip(self.variables, given[self.count : behind]):
                variable.assign(value)
            first, last = ([self.tf.constant(a) for a in part] for part in (given[: self.count], given[behind:]))
            return function([*first, *self.variables, *last])
        finally:
            for variable, value in zip(self.variables, self.own):
                variable.assign(value)

    def gradients(self, function, sources, upstream):
        with self.tf.GradientTape() as tape:
            tape.watch([s for s in sources if s.dtype.is_floating or s.dtype.is_complex])
            outputs = function(sources)
        found = tape.gradient(outputs, sources, output_gradients=list(upstream))
        return [None if g is None else self.tf.convert_to_tensor(g) for g in found]

    def array(self, tensor):
        return tensor.numpy()


class Torch:
    """Runs functions of tensors; the parameters `own` of a compiled module stand for the tensors behind the first `count`."""

    upstream = ("dense", "missing", "strided")

    def __init__(self, torch: Any, again: bool, count: int = 0, own: Sequence[Any] = ()):
        self.torch, self.again, self.count, self.own = torch, again, count, list(own)  # again: gradients are differentiated in turn

    def run(self, given, function):
        tensors = [self.tensor(np.asarray(a)).requires_grad_(np.asarray(a).dtype.kind in "fc") for a in given]
        for parameter, value in zip(self.own, tensors[self.count :]):
            parameter.data = value.detach()
        return function([*tensors[: self.count], *self.own, *tensors[self.count + len(self.own) :]])

    def tensor(self, a):
        """A copy in the same layout: strides of 0 stay."""
        few = self.torch.tensor(a[tuple(slice(0, 1) if stride == 0 else slice(None) for stride in a.strides)])
        strides = [abs(stride) // a.itemsize for stride in a.strides]
        return self.torch.empty_strided(few.shape, strides, dtype=few.dtype).copy_(few).expand(a.shape)

    def gradients(self, function, sources, upstream):
        wanted = [s for s in sources if s.requires_grad]
        used = [(y, u) for y, u in zip(function(sources), upstream) if y.requires_grad]
        found: dict[int, Any] = {}
        if used:
            outputs, above = zip(*used)
            grads = self.torch.autograd.grad(outputs, wanted, above, allow_unused=True, create_graph=self.again)
            found = {id(s): g for s, g in zip(wanted, grads)}
        return [found.get(id(s)) for s in sources]

    def array(self, tensor):
        return tensor.detach().numpy()


class Jax:
    upstream = ("dense", "missing")

    def __init__(self, jax: Any):
        self.jax = jax

    def run(self, given, function):
        return function([self.jax.numpy.asarray(a) for a in given])

    def gradients(self, function, sources, upstream):
        _, pull = self.jax.vjp(lambda *s: tuple(function(s)), *sources)
        return [None if g.dtype == self.jax.dtypes.float0 else g for g in pull(tuple(upstream))]

    def array(self, tensor):
        return np.asarray(tensor)
