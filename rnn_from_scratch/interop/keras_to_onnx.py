"""A whole Keras model as an ONNX model: its recurrent layers are real RNN, LSTM and GRU operators, no loops.

    model_to_onnx      walks the graph that Keras keeps of a Sequential or functional model, from the outputs back to the inputs
    onnx_graph.py      the nodes under construction
    onnx_layers.py     one function for each kind of layer
    onnx_recurrent.py  the recurrent layers, with masks and states
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from .onnx_graph import ModelGraph, Value, title
from .onnx_layers import CONVERTERS, not_equal
from .onnx_recurrent import bidirectional, is_recurrent, recurrent
from .to_onnx import IR_VERSION, OPSET


def model_to_onnx(model: Any, path: str | Path | None = None) -> Any:
    """A Keras model as an onnx.ModelProto with the outputs of model(x, training=False); written to `path` if there is one.

    model    a built Sequential or functional model in float32. Its layers: Embedding, Dense, Dropout, Masking, Flatten,
             Concatenate, LayerNormalization, Bidirectional, RNN with its cells, stacked or not, the recurrent layers of Keras and
             of rnn_from_scratch.layers, and other such models

    Inputs and outputs have the names of their Keras layers (a second output of one layer: NAME_1). The batch is always dynamic,
    time is where the model leaves it open. Masks, of any pattern, come from Embedding(mask_zero=True), from Masking, or from an
    input that a layer is given as mask. ONNX keeps nothing between calls: a stateful layer gets inputs NAME_initial_h (and
    NAME_initial_c) and outputs NAME_h (NAME_c). Begin with zeros, then feed the outputs of one call to the next.
    Raises ValueError that names the layer for what cannot be exported, ModuleNotFoundError without onnx.
    """
    try:
        import onnx
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("model_to_onnx needs onnx: pip install onnx") from missing
    from onnx import helper, numpy_helper

    if not is_model(model):
        raise ValueError(
            f"model: expected a Sequential or functional Keras model that is built, got {title(model)}. An Input or a first call "
            "builds a Sequential; a model with a call() of its own has no graph: write it as keras.Model(inputs, outputs)"
        )
    graph = ModelGraph()
    inputs = []
    for tensor in model.inputs:
        name = graph.unique(tensor._keras_history.operation.name)
        inputs.append(Value(graph.declare(graph.inputs, name, tensor.dtype, tensor.shape[1:]), tensor.dtype))
    names = [graph.unique(tensor._keras_history.operation.name) for tensor in model.outputs]
    for name, tensor, result in zip(names, model.outputs, run_model(graph, model, inputs), strict=True):
        graph.node("Identity", [result.name], graph.declare(graph.outputs, name, result.dtype, tensor.shape[1:]))
    graph.drop_unused()
    made = helper.make_graph(
        graph.nodes,
        model.name,
        graph.inputs + graph.state_inputs,
        graph.outputs + graph.state_outputs,
        [numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    exported = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="rnn_from_scratch")
    onnx.checker.check_model(exported, full_check=True)
    if path is not None:
        onnx.save(exported, path)
    return exported


def is_model(layer: Any) -> bool:
    """Whether this is a model with a graph, which Keras itself would run."""
    import keras

    return isinstance(layer, keras.Model) and hasattr(layer, "outputs") and type(layer).call.__module__.startswith("keras.")


def run_model(graph: ModelGraph, model: Any, inputs: list[Value]) -> list[Value]:
    """The outputs of a model, or of one that stands as a layer in another, for these inputs."""
    known = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}

    def value(tensor: Any) -> Value:
        if not hasattr(tensor, "_keras_history"):
            raise ValueError(f"{title(model)}: expected layers called on Keras tensors, got a {type(tensor).__name__}; make it an Input")
        if id(tensor) not in known:
            operation, index, _ = tensor._keras_history
            node = operation._inbound_nodes[index]
            results = call(graph, operation, node.arguments, value)
            known.update(zip(map(id, node.output_tensors), results, strict=True))
        return known[id(tensor)]

    return [value(tensor) for tensor in model.outputs]


def call(graph: ModelGraph, layer: Any, arguments: Any, value: Any) -> list[Value]:
    """One call of a layer. value: a Keras tensor -> its Value, which may call the layers before it."""
    import keras

    name, theirs = type(layer).__name__, type(layer).__module__.startswith("keras.")
    bound = inspect.signature(layer.call).bind(*arguments.args, **arguments.kwargs).arguments
    if name == "NotEqual" and theirs:  # how masks are made by hand
        return [not_equal(graph, value(bound["x1"]), bound["x2"])]
    if not (is_recurrent(layer) or is_model(layer) or (name in CONVERTERS and theirs)):
        raise ValueError(
            f"{title(layer)}: model_to_onnx has {', '.join(CONVERTERS)}, Bidirectional and recurrent layers; leave this one out, or "
            "export the parts before and after it: keras.Model(inputs, outputs)"
        )
    if not is_model(layer) and layer.compute_dtype != "float32":
        raise ValueError(
            f"{title(layer)}: expected float32, which is all that ONNX Runtime's recurrent operators compute in, got "
            f"{layer.dtype_policy.name}; build the same model under keras.config.set_dtype_policy('float32') and set_weights"
        )
    given = bound[next(iter(bound))]
    tensors, mask = keras.tree.flatten(given), bound.get("mask")
    inputs = [value(tensor) for tensor in tensors]
    by_hand = mask is not None and any(m is not getattr(t, "_keras_mask", None) for m, t in zip(keras.tree.flatten(mask), tensors))
    if is_recurrent(layer):
        states = [value(state).name for state in keras.tree.flatten(bound.get("initial_state")) if state is not None]
        if by_hand:
            inputs[0] = inputs[0]._replace(mask=value(mask).name)
        # beside an initial state Keras gives a layer no mask, unless it is told to; what comes after the layer sees one all the same
        used = None if states and mask is None else inputs[0].mask
        return (bidirectional if name == "Bidirectional" else recurrent)(graph, layer, inputs[0], states, used)
    if by_hand:
        raise ValueError(f"{title(layer)}: mask= is for recurrent layers; let Masking or Embedding(mask_zero=True) make the mask")
    if is_model(layer):
        return run_model(graph, layer, inputs)
    return [CONVERTERS[name](graph, layer, inputs if isinstance(given, (list, tuple)) else inputs[0])]
