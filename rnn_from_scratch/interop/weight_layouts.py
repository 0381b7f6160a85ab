"""How each framework lays out the same cell: one declared table. conventions.py reads it, and so can you.

A slot is one array of the framework. It is made of our parts (Wx, Wh, b, bx, bh, p): columns put in the order of `gates`, the
parts stacked one under the other, transposed if `turned`, reshaped to `shape`. That is all the layouts differ in.

    letters of `shape`    I inputs, H units, GH all gates of the slot times H, I+H the rows of Wx above the rows of Wh
    b                     one bias: ours b, or ours bx + bh where a cell has two
    - in `gates`          a place that the framework has and does not read: zeros
    bx bh                 two biases: ours b comes out as (b, 0); a pair that comes in for a one-bias cell is added up
    z                     in all of these the update gate keeps the old state: h = z * h_prev + (1 - z) * n
"""

from __future__ import annotations

from typing import NamedTuple

from ..cells import form_name


class ArrayLayout(NamedTuple):
    """One array of a framework."""

    name: str
    parts: str
    shape: str
    gates: str = ""  # "": the order of the row
    turned: bool = False
    optional: bool = False  # left out for a cell without bias; otherwise zeros


class Row(NamedTuple):
    """One form of cell in one framework: its name there, the gate order in our names, the arrays, what it can compute."""

    called: str
    gates: str
    slots: tuple[ArrayLayout, ...]
    activations: str = "tanh relu sigmoid linear hard_sigmoid"
    recurrent_activations: str = "sigmoid hard_sigmoid"
    forget_bias: float = 0.0  # the framework's default of what it adds to the forget gate at run time; 0: it adds nothing


class WeightLayout(NamedTuple):
    """One framework."""

    name: str
    rows: dict[str, Row]
    slope: float | None  # of the framework's hard_sigmoid(a) = clip(slope * a + 0.5, 0, 1); ours is 1/6. None: it has none
    exact: str  # which conversions are bit-exact, and which round
    note: str


SLOPE = 1 / 6  # ours: Keras 3's relu6(a + 3) / 6
BOTH_WAYS = "Bit-exact both ways."
MERGED = " Two biases of a one-bias cell are added up and come back as (b, 0)."
FORGET = " The forget bias is subtracted going out and added coming in: exact to 1 ulp of max(|b|, forget_bias)."
RESCALED = " hard_sigmoid raises unless rescale=True, which multiplies the gates' weights by 6 * slope: exact to 2 ulp."

keras = (ArrayLayout("kernel", "Wx", "I GH"), ArrayLayout("recurrent_kernel", "Wh", "H GH"))
keras_one = (*keras, ArrayLayout("bias", "b", "GH", optional=True))
keras_two = (*keras, ArrayLayout("bias", "bx bh", "2 GH", optional=True))
keras_rows = {
    "SimpleRNN": Row("SimpleRNN", "h", keras_one),
    "LSTM": Row("LSTM", "i f g o", keras_one),
    "GRU reset after": Row("GRU(reset_after=True)", "z r n", keras_two),
    "GRU reset before": Row("GRU(reset_after=False)", "z r n", keras_one),
}

tf1 = (ArrayLayout("kernel", "Wx Wh", "I+H GH"), ArrayLayout("bias", "b", "GH"))
tf1_peepholes = (ArrayLayout("w_f_diag", "p", "H", "f"), ArrayLayout("w_i_diag", "p", "H", "i"), ArrayLayout("w_o_diag", "p", "H", "o"))
tf1_gru = (
    ArrayLayout("gates/kernel", "Wx Wh", "I+H GH", "r z"),
    ArrayLayout("gates/bias", "b", "GH", "r z"),
    ArrayLayout("candidate/kernel", "Wx Wh", "I+H GH", "n"),
    ArrayLayout("candidate/bias", "b", "GH", "n"),
)

block = (
    ArrayLayout("w", "Wx Wh", "I+H GH"),
    ArrayLayout("wci", "p", "H", "i"),
    ArrayLayout("wcf", "p", "H", "f"),
    ArrayLayout("wco", "p", "H", "o"),
    ArrayLayout("b", "b", "GH"),
)


def block_rows(order: str, forget_bias: float) -> dict[str, Row]:
    return {
        "LSTM": Row("use_peephole=False", order, block, "tanh", "sigmoid", forget_bias),
        "PeepholeLSTM": Row("use_peephole=True", order, block, "tanh", "sigmoid", forget_bias),
    }


torch = (
    ArrayLayout("weight_ih_l0", "Wx", "GH I", turned=True),
    ArrayLayout("weight_hh_l0", "Wh", "GH H", turned=True),
    ArrayLayout("bias_ih_l0", "bx", "GH", optional=True),
    ArrayLayout("bias_hh_l0", "bh", "GH", optional=True),
)

onnx = (
    ArrayLayout("W", "Wx", "1 GH I", turned=True),
    ArrayLayout("R", "Wh", "1 GH H", turned=True),
    ArrayLayout("B", "bx bh", "1 2GH", optional=True),
)

cudnn = (
    ArrayLayout("W", "Wx", "GH I", turned=True),
    ArrayLayout("R", "Wh", "GH H", turned=True),
    ArrayLayout("bW", "bx", "GH"),
    ArrayLayout("bR", "bh", "GH"),
)

LAYOUTS: dict[str, WeightLayout] = {
    "keras3": WeightLayout("Keras 3", keras_rows, SLOPE, BOTH_WAYS, "layer.set_weights(list(arrays.values())). Our own layout."),
    "keras2": WeightLayout(
        "Keras 2 (tf_keras)",
        keras_rows,
        0.2,
        BOTH_WAYS + RESCALED,
        "layer.set_weights(list(arrays.values())). The same names as Keras 3, but hard_sigmoid is another function.",
    ),
    "tf1": WeightLayout(
        "TensorFlow 1 cells",
        {
            "SimpleRNN": Row("BasicRNNCell", "h", tf1, recurrent_activations=""),
            "LSTM": Row("LSTMCell, BasicLSTMCell", "i g f o", tf1, recurrent_activations="sigmoid", forget_bias=1.0),
            "PeepholeLSTM": Row(
                "LSTMCell(use_peepholes=True)", "i g f o", tf1 + tf1_peepholes, recurrent_activations="sigmoid", forget_bias=1.0
            ),
            "GRU reset before": Row("GRUCell", "r z n", tf1_gru, recurrent_activations="sigmoid"),
        },
        0.2,
        BOTH_WAYS + FORGET + RESCALED,
        "cell.set_weights(list(arrays.values())). g is called j, z is called u. The state is (c, h). A bias is always there.",
    ),
    "block_lstm": WeightLayout(
        "tf.raw_ops.BlockLSTM",
        block_rows("i g f o", 1.0),
        None,
        BOTH_WAYS + FORGET,
        "BlockLSTM(**arrays, cell_clip=-1, ...): the default clips c. x is time-major. g is called ci. b and wc* are required.",
    ),
    "block_lstm_v2": WeightLayout(
        "tf.raw_ops.BlockLSTMV2",
        block_rows("i f g o", 0.0),
        None,
        BOTH_WAYS,
        "BlockLSTMV2(**arrays, ...), x is time-major. g is called ci. No forget bias at run time. b and wc* are required.",
    ),
    "torch": WeightLayout(
        "torch.nn",
        {
            "SimpleRNN": Row("RNN", "h", torch, "tanh relu", ""),
            "LSTM": Row("LSTM", "i f g o", torch, "tanh", "sigmoid"),
            "GRU reset after": Row("GRU", "r z n", torch, "tanh", "sigmoid"),
        },
        None,
        BOTH_WAYS + MERGED,
        "module.load_state_dict({name: torch.from_numpy(a) ...}); several layers and directions are a list here. GRU is reset after only.",
    ),
    "onnx": WeightLayout(
        "ONNX",
        {
            "SimpleRNN": Row("RNN", "h", onnx),
            "LSTM": Row("LSTM", "i o f g", onnx),
            "PeepholeLSTM": Row("LSTM with P", "i o f g", (*onnx, ArrayLayout("P", "p", "1 GH", "i o f"))),
            "CoupledLSTM": Row("LSTM(input_forget=1)", "i o - g", onnx),
            "GRU reset after": Row("GRU(linear_before_reset=1)", "z r n", onnx),
            "GRU reset before": Row("GRU(linear_before_reset=0)", "z r n", onnx),
        },
        0.2,
        BOTH_WAYS + MERGED + RESCALED,
        "slope is HardSigmoid's default alpha; a node with alpha = 1/6 is read with slope=1/6 and needs no rescaling. See to_onnx.",
    ),
    "cudnn": WeightLayout(
        "cuDNN",
        {
            "SimpleRNN": Row("CUDNN_RNN_TANH, CUDNN_RNN_RELU", "h", cudnn, "tanh relu", ""),
            "LSTM": Row("CUDNN_LSTM", "i f g o", cudnn, "tanh", "sigmoid"),
            "GRU reset after": Row("CUDNN_GRU", "r z n", cudnn, "tanh", "sigmoid"),
        },
        None,
        BOTH_WAYS + MERGED,
        "The one parameter vector is numpy.concatenate([a.ravel() for a in arrays.values()]).",
    ),
}


kind = form_name  # the row that describes a cell, by the name that it had first


def describe(framework: str) -> str:
    """A framework's layout as text."""
    layout = LAYOUTS[framework]
    lines = [f"{framework}: {layout.name}. {layout.note}", f"  exact: {layout.exact}"]
    for cell, row in layout.rows.items():
        forget = f", forget bias {row.forget_bias:g} added at run time" if row.forget_bias else ""
        lines.append(f"  {cell}: {row.called}, gates {row.gates}{forget}")
        lines += [
            f"      {s.name} [{', '.join(s.shape.split())}] = {' over '.join(s.parts.split())}{', transposed' * s.turned}"
            f"{f', gates {s.gates}' if s.gates else ''}{', optional' * s.optional}"
            for s in row.slots
        ]
    return "\n".join(lines)
