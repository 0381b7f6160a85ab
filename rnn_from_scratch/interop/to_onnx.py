"""A cell as an ONNX model that ONNX Runtime runs to the same outputs.

The recurrent operator is one node (RNN, LSTM or GRU). Around it stand the nodes for what it does otherwise than forward:

    batch-major arrays                      Transpose: ONNX Runtime has only the time-major layout
    a row of length 0                       Where: the operator returns a zero final state there, ours is the initial state
    y after the end of a row                GatherND: the operator returns zeros there, ours repeats the last live output
    go_backwards                            direction="reverse" and a Slice: y comes out in processing order
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..cells import form_name
from ..typing import Array, ListedCell
from .conventions import to_framework
from .parts import checked
from .weight_layouts import SLOPE

OPSET, IR_VERSION = 17, 8  # ONNX 1.12: old enough for every current runtime


class Operator(NamedTuple):
    """The operator of one form: its name, the activations that it is given in their order, its other attributes."""

    name: str
    activations: str  # phi: the cell's activation, sigma: its recurrent_activation
    attributes: dict[str, int] = {}  # noqa: RUF012, never written to


# form -> its operator; interop/weight_layouts.py has its arrays. A form without a row is refused by name
OPERATORS = {
    "SimpleRNN": Operator("RNN", "phi"),
    "LSTM": Operator("LSTM", "sigma phi phi"),
    "PeepholeLSTM": Operator("LSTM", "sigma phi phi"),
    "CoupledLSTM": Operator("LSTM", "sigma phi phi", {"input_forget": 1}),
    "GRU reset after": Operator("GRU", "sigma phi", {"linear_before_reset": 1}),
    "GRU reset before": Operator("GRU", "sigma phi", {"linear_before_reset": 0}),
}
FUNCTIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "linear": "Affine", "hard_sigmoid": "HardSigmoid"}
CONSTANTS = {"linear": (1.0, 0.0), "hard_sigmoid": (SLOPE, 0.5)}  # alpha and beta: a -> alpha a + beta, clipped to 0..1 or not


class Graph:
    """Nodes and constants of a model under construction."""

    def __init__(self, constants: dict[str, Array]):
        self.nodes: list[Any] = []
        self.constants = dict(constants)

    def constant(self, name: str, value: Any) -> str:
        self.constants[name] = np.asarray(value)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def to_onnx(
    cell: ListedCell,
    params: dict[str, Array],
    *,
    masking: str | None = None,
    initial_state: bool = False,
    go_backwards: bool = False,
    zero_masked_outputs: bool = False,
) -> Any:
    """An onnx.ModelProto with forward's outputs; onnx.save(model, path) writes it.

    cell, params          as in forward; float32 only, as ONNX Runtime's operators are
    masking               None, or "lengths": the model has an input lengths [B] int64 (0..T). ONNX knows no other masks
    initial_state         True: inputs initial_h, and initial_c for an LSTM, [B,H]; otherwise zeros
    go_backwards, zero_masked_outputs   as in forward

    Inputs x [B,T,I], then those above. Outputs y [B,T,H], h [B,H], and c for an LSTM. B and T are dynamic, B at least 1 (ONNX
    Runtime does not survive an empty batch). Dropout scales are for training and are not exported.
    Raises ValueError for a cell that ONNX does not have or another masking, TypeError for another dtype, ModuleNotFoundError
    without onnx. Source: the operators' equations in the ONNX specification, opset 14.
    """
    try:
        import onnx
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("to_onnx needs onnx: pip install onnx") from missing
    from onnx import TensorProto, helper, numpy_helper

    if masking not in (None, "lengths"):
        raise ValueError(
            f"masking: expected None or 'lengths', got {masking!r}; ONNX knows sequence lengths only: a mask with gaps or with "
            "masked steps at the start cannot be exported. mask_lengths(mask) gives the lengths of a mask that has neither"
        )
    params = checked(cell, params)
    if params["Wx"].dtype != np.float32:
        raise TypeError(f"params: expected float32, which is all that ONNX Runtime computes in, got {params['Wx'].dtype}")
    graph = Graph(to_framework("onnx", cell, params, slope=SLOPE))
    if form_name(cell) not in OPERATORS:
        raise ValueError(f"cell: to_onnx has an operator for {', '.join(OPERATORS)}, got {form_name(cell)}; add its row to OPERATORS")
    (I, _), (H, _) = params["Wx"].shape, params["Wh"].shape
    states = recurrent(graph, cell, H, bool(masking), initial_state, go_backwards)
    if masking and initial_state:
        states = initial_where_empty(graph, cell, states)
    y = graph.node("Transpose", [graph.node("Squeeze", ["Y", "axis1"], "y_time_major")], "y_batch_major", perm=[1, 0, 2])
    if go_backwards:
        y = processing_order(graph, y)
    elif masking and not zero_masked_outputs:
        y = last_live_output(graph, y)
    for source, result in zip((y, *states), ("y", *cell.states)):
        graph.node("Identity", [source], result)

    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, ["B", "T", I])]
    inputs += [info("lengths", TensorProto.INT64, ["B"])] if masking else []
    inputs += [info(f"initial_{s}", TensorProto.FLOAT, ["B", H]) for s in cell.states] if initial_state else []
    outputs = [info("y", TensorProto.FLOAT, ["B", "T", H]), *(info(s, TensorProto.FLOAT, ["B", H]) for s in cell.states)]
    initializers = [numpy_helper.from_array(a, name) for name, a in graph.constants.items()]
    made = helper.make_graph(graph.nodes, form_name(cell), inputs, outputs, initializers, doc_string=repr(cell))
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=IR_VERSION, producer_name="rnn_from_scratch")
    onnx.checker.check_model(model, full_check=True)
    return model


def recurrent(graph: Graph, cell: ListedCell, H: int, masking: bool, initial_state: bool, go_backwards: bool) -> list[str]:
    """The operator: x -> Y [T,1,B,H] and the final states [B,H], whose names are returned."""
    from onnx import TensorProto, helper

    axis0 = graph.constant("axis0", [0])
    graph.constant("axis1", [1])
    X = graph.node("Transpose", ["x"], "x_time_major", perm=[1, 0, 2])
    lengths = graph.node("Cast", ["lengths"], "lengths_int32", to=TensorProto.INT32) if masking else ""
    first = [graph.node("Unsqueeze", [f"initial_{s}", axis0], f"first_{s}") if initial_state else "" for s in cell.states]
    inputs = [X, "W", "R", "B" if "B" in graph.constants else "", lengths, *first, "P" if cell.extras else ""]
    while not inputs[-1]:
        inputs.pop()
    direction = "reverse" if go_backwards else "forward"
    outputs = ["Y", *(f"Y_{s}" for s in cell.states)]
    node = helper.make_node(OPERATORS[form_name(cell)].name, inputs, outputs, hidden_size=H, direction=direction, **attributes_of(cell))
    graph.nodes.append(node)
    return [graph.node("Squeeze", [f"Y_{s}", axis0], f"final_{s}") for s in cell.states]


def initial_where_empty(graph: Graph, cell: ListedCell, states: list[str]) -> list[str]:
    """The operator's final state of a row of length 0 is zero; ours is the initial state."""
    empty = graph.node("Equal", ["lengths", graph.constant("zero_length", [0])], "is_empty")
    row = graph.node("Unsqueeze", [empty, "axis1"], "is_empty_row")
    return [graph.node("Where", [row, f"initial_{s}", final], f"state_{s}") for s, final in zip(cell.states, states)]


def processing_order(graph: Graph, y: str) -> str:
    """direction="reverse" leaves y in the order of x; forward(go_backwards=True) gives it in processing order."""
    last, end = graph.constant("last", [-1]), graph.constant("end", [np.iinfo(np.int64).min])
    return graph.node("Slice", [y, last, end, "axis1", last], "y_processed")


def last_live_output(graph: Graph, y: str) -> str:
    """The operator's y after the end of a row is zero; ours repeats the output at step length - 1."""
    zero, one = graph.constant("zero", 0), graph.constant("one", 1)
    T = graph.node("Gather", [graph.node("Shape", ["x"], "shape"), one], "T")
    steps = graph.node("Range", [zero, T, one], "steps")
    ends = graph.node("Max", [graph.node("Sub", ["lengths", one], "last_live"), zero], "last_live_or_first")
    at = graph.node("Min", [steps, graph.node("Unsqueeze", [ends, "axis1"], "last_live_row")], "live_step")
    index = graph.node("Unsqueeze", [at, graph.constant("axis2", [2])], "live_index")
    return graph.node("GatherND", [y, index], "y_repeated", batch_dims=1)


def attributes_of(cell: ListedCell) -> dict[str, Any]:
    """The operator's activations with their constants, and what else its row says."""
    operator = OPERATORS[form_name(cell)]
    options = {"phi": "activation", "sigma": "recurrent_activation"}
    used = [getattr(cell, options[name]) for name in operator.activations.split()]
    attributes: dict[str, Any] = {**operator.attributes, "activations": [FUNCTIONS[name] for name in used]}
    pairs = [CONSTANTS[name] for name in used if name in CONSTANTS]
    if pairs:
        attributes.update(activation_alpha=[alpha for alpha, _ in pairs], activation_beta=[beta for _, beta in pairs])
    return attributes


def mask_lengths(mask: Array) -> Array:
    """The lengths [B] int64 of a mask [B,T] bool whose rows only end early.

    Raises ValueError for a mask with gaps or with masked steps at the start: no lengths describe it.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise ValueError(f"mask: expected [B, T] bool, got {list(mask.shape)} {mask.dtype}")
    lengths = mask.sum(axis=1, dtype=np.int64)
    wrong = np.flatnonzero((mask != (np.arange(mask.shape[1]) < lengths[:, None])).any(axis=1))
    if wrong.size:
        raise ValueError(f"mask: expected rows that only end early, got a gap or a late start in row {wrong[0]}")
    return lengths
