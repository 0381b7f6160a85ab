"""The layers of a Keras model that are not recurrent, as ONNX nodes: one function each, all in the table CONVERTERS.

Each takes the graph, the layer and the Value of its input (a list of them for Concatenate) and returns the Value of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .onnx_graph import ModelGraph, Value, title
from .weight_layouts import SLOPE

# keras.activations -> the operator and its attributes
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": SLOPE, "beta": 0.5}),
    "softmax": ("Softmax", {"axis": -1}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
}


def activation_name(layer: Any, argument: str = "activation") -> str:
    """The name of a layer's activation in keras.activations; "a function of your own" for any other."""
    import keras

    function = getattr(layer, argument)
    name = getattr(function, "__name__", "")
    return name if getattr(keras.activations, name, None) is function else "a function of your own"


def floats(graph: ModelGraph, x: Value) -> str:
    """x as float32, as Keras' autocast hands it to a layer."""
    return x.name if x.dtype == "float32" else graph.cast(x.name, "float32")


def not_quantized(layer: Any) -> None:
    if getattr(layer, "quantization_mode", None):
        raise ValueError(f"{title(layer)}: quantized weights ({layer.quantization_mode}); export the model before quantize()")


def not_equal(graph: ModelGraph, x: Value, constant: Any) -> Value:
    """keras.ops.not_equal(x, number)."""
    other = graph.value("number", np.asarray(constant, x.dtype))
    return Value(graph.add("Not", graph.add("Equal", x.name, other)), "bool")


def embedding(graph: ModelGraph, layer: Any, x: Value) -> Value:
    not_quantized(layer)
    index = graph.cast(x.name, "int32")
    rows = graph.add("Gather", graph.value(f"{layer.name}/embeddings", np.asarray(layer.embeddings)), index, axis=0)
    mask = None
    if layer.mask_zero:
        mask = graph.add("Not", graph.add("Equal", index, graph.value("padding", np.int32(0))))
    return Value(rows, "float32", mask)


def dense(graph: ModelGraph, layer: Any, x: Value) -> Value:
    not_quantized(layer)
    y = graph.add("MatMul", floats(graph, x), graph.value(f"{layer.name}/kernel", np.asarray(layer.kernel)))
    if layer.use_bias:
        y = graph.add("Add", y, graph.value(f"{layer.name}/bias", np.asarray(layer.bias)))
    name = activation_name(layer)
    if name in ACTIVATIONS:
        operator, attributes = ACTIVATIONS[name]
        y = graph.add(operator, y, **attributes)
    elif name != "linear":
        raise ValueError(f"{title(layer)}: activation: expected linear, {', '.join(ACTIVATIONS)}, got {name}")
    return Value(y, "float32", x.mask)


def dropout(graph: ModelGraph, layer: Any, x: Value) -> Value:
    """Nothing: the exported model does not train."""
    return x


def masking(graph: ModelGraph, layer: Any, x: Value) -> Value:
    name = floats(graph, x)
    differs = graph.add("Not", graph.add("Equal", name, graph.value("mask_value", np.float32(layer.mask_value))))
    live = graph.cast(graph.add("ReduceMax", graph.cast(differs, "int32"), axes=[-1], keepdims=1), "bool")
    kept = graph.add("Where", live, name, graph.value("zero", np.float32(0)))
    return Value(kept, "float32", graph.add("Squeeze", live, graph.value("last_axis", [-1])))


def flatten(graph: ModelGraph, layer: Any, x: Value) -> Value:
    """As Keras' own, it lets no mask through."""
    if layer.data_format != "channels_last":
        raise ValueError(f"{title(layer)}: expected data_format='channels_last', got {layer.data_format!r}")
    return Value(graph.add("Flatten", x.name, axis=1), x.dtype)


def concatenate(graph: ModelGraph, layer: Any, x: list[Value]) -> Value:
    """Of masked sequences side by side a step is live where it is in one of them; an input without a mask is live everywhere."""
    types, masks = {value.dtype for value in x}, [value.mask for value in x]
    names = [value.name for value in x] if len(types) == 1 else [floats(graph, value) for value in x]
    mask = masks[0]
    if any(masks) and layer.axis != -1:
        raise ValueError(f"{title(layer)}: expected axis=-1 for sequences with a mask, got axis={layer.axis}")
    for other in masks[1:]:
        mask = graph.add("Or", mask, other) if mask and other else None
    return Value(graph.add("Concat", *names, axis=layer.axis), types.pop() if len(types) == 1 else "float32", mask)


def layer_normalization(graph: ModelGraph, layer: Any, x: Value) -> Value:
    axes = sorted(layer.axis) if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    shape, rank = layer.get_build_config()["input_shape"], len(layer.get_build_config()["input_shape"])
    axes = [axis % rank for axis in axes]
    if axes != list(range(axes[0], rank)):
        raise ValueError(f"{title(layer)}: ONNX normalizes over the last axes; expected axis=-1, got axis={layer.axis}")
    if layer.rms_scaling:
        raise ValueError(f"{title(layer)}: rms_scaling=True has no ONNX operator")
    size = [shape[axis] for axis in axes]
    scale = np.asarray(layer.gamma) if layer.scale else np.ones(size, "float32")
    shift = np.asarray(layer.beta) if layer.center else np.zeros(size, "float32")
    inputs = floats(graph, x), graph.value(f"{layer.name}/gamma", scale), graph.value(f"{layer.name}/beta", shift)
    return Value(graph.add("LayerNormalization", *inputs, axis=axes[0], epsilon=layer.epsilon), "float32", x.mask)


# the layer's class in keras.layers -> its converter
CONVERTERS: dict[str, Callable[[ModelGraph, Any, Any], Value]] = {
    "Embedding": embedding,
    "Dense": dense,
    "Dropout": dropout,
    "Masking": masking,
    "Flatten": flatten,
    "Concatenate": concatenate,
    "LayerNormalization": layer_normalization,
}
