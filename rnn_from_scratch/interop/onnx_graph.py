"""The ONNX graph of a whole model under construction, as model_to_onnx fills it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .to_onnx import Graph


class Value(NamedTuple):
    """What stands for one Keras tensor."""

    name: str  # in the ONNX graph
    dtype: str
    mask: str | None = None  # the name of its mask [B,T] bool; None: every step is live


class ModelGraph(Graph):
    """Nodes and constants whose names nobody has to invent, and the inputs and outputs of the model."""

    def __init__(self) -> None:
        super().__init__({})
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.state_inputs: list[Any] = []
        self.state_outputs: list[Any] = []
        self.taken: set[str] = set()

    def unique(self, stem: str) -> str:
        """stem, or stem_1, stem_2, ... where that is taken."""
        name, n = stem, 0
        while name in self.taken:
            n += 1
            name = f"{stem}_{n}"
        self.taken.add(name)
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, whose name is returned."""
        return self.node(operator, list(inputs), self.unique(f"{operator}_output"), **attributes)

    def add_two(self, operator: str, *inputs: str, **attributes: Any) -> tuple[str, str]:
        """A node with two outputs, whose names are returned."""
        from onnx import helper

        outputs = self.unique(f"{operator}_output"), self.unique(f"{operator}_output")
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))
        return outputs

    def value(self, stem: str, value: Any) -> str:
        """A constant."""
        return self.constant(self.unique(stem), value)

    def cast(self, name: str, dtype: str) -> str:
        return self.add("Cast", name, to=onnx_type(dtype))

    def declare(self, infos: list[Any], name: str, dtype: str, shape: Any) -> str:
        """An input or an output in one of the lists; the first dimension is the batch, other open ones get a name each."""
        from onnx import helper

        dims = ["B", *(f"{name}_{axis}" if size is None else size for axis, size in enumerate(shape, 1))]
        infos.append(helper.make_tensor_value_info(name, onnx_type(dtype), dims))
        return name

    def inline(self, model: Any, prefix: str, feeds: dict[str, str]) -> dict[str, str]:
        """The nodes of another model in this graph. feeds: its inputs -> names here; returns its outputs -> names here."""
        from onnx import NodeProto, numpy_helper

        names = {"": "", **feeds}

        def renamed(name: str) -> str:
            if name not in names:
                names[name] = self.unique(f"{prefix}/{name}")
            return names[name]

        for array in model.graph.initializer:
            self.constant(renamed(array.name), numpy_helper.to_array(array))
        for original in model.graph.node:
            node = NodeProto()
            node.CopyFrom(original)
            node.input[:] = map(renamed, original.input)
            node.output[:] = map(renamed, original.output)
            self.nodes.append(node)
        return {output.name: names[output.name] for output in model.graph.output}

    def drop_unused(self) -> None:
        """Leaves out the nodes and constants that no output needs."""
        needed, kept = {output.name for output in (*self.outputs, *self.state_outputs)}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}


def onnx_type(dtype: str) -> int:
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def title(layer: Any) -> str:
    """A layer as errors name it: LSTM "lstm_1"."""
    return f'{type(layer).__name__} "{layer.name}"' if hasattr(layer, "name") else type(layer).__name__
