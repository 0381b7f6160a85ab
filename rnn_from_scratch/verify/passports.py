"""How each framework lays out the same cell: one declared table. conventions.py reads it, and so can you.

A slot is one array of the framework. It is made of our parts (Wx, Wh, b, bx, bh, p): columns put in the order of `gates`, the
parts stacked one under the other, transposed if `turned`, reshaped to `shape`. That is all the layouts differ in.

    letters of `shape`    I inputs, H units, GH all gates of the slot times H, I+H the rows of Wx above the rows of Wh
    b                     one bias: ours b, or ours bx + bh where a cell has two
    bx bh                 two biases: ours b comes out as (b, 0); a pair that comes in for a one-bias cell is added up
    z                     in all of these the update gate keeps the old state: h = z * h_prev + (1 - z) * n
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Slot(NamedTuple):
    """One array of a framework."""

    name: str
    parts: str
    shape: str
    gates: str = ""  # "": the order of the row
    turned: bool = False
    optional: bool = False  # left out for a cell without bias; otherwise zeros


class Row(NamedTuple):
    """One kind of cell in one framework: its name there, the gate order in our names, the arrays, what it can compute."""

    called: str
    gates: str
    slots: tuple[Slot, ...]
    activations: str = "tanh relu sigmoid linear hard_sigmoid"
    recurrent_activations: str = "sigmoid hard_sigmoid"
    forget_bias: float = 0.0  # the framework's default of what it adds to the forget gate at run time; 0: it adds nothing


class Passport(NamedTuple):
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

keras = (Slot("kernel", "Wx", "I GH"), Slot("recurrent_kernel", "Wh", "H GH"))
keras_one = (*keras, Slot("bias", "b", "GH", optional=True))
keras_two = (*keras, Slot("bias", "bx bh", "2 GH", optional=True))
keras_rows = {
    "SimpleRNN": Row("SimpleRNN", "h", keras_one),
    "LSTM": Row("LSTM", "i f g o", keras_one),
    "GRU reset after": Row("GRU(reset_after=True)", "z r n", keras_two),
    "GRU reset before": Row("GRU(reset_after=False)", "z r n", keras_one),
}

tf1 = (Slot("kernel", "Wx Wh", "I+H GH"), Slot("bias", "b", "GH"))
tf1_peepholes = (Slot("w_f_diag", "p", "H", "f"), Slot("w_i_diag", "p", "H", "i"), Slot("w_o_diag", "p", "H", "o"))
tf1_gru = (
    Slot("gates/kernel", "Wx Wh", "I+H GH", "r z"),
    Slot("gates/bias", "b", "GH", "r z"),
    Slot("candidate/kernel", "Wx Wh", "I+H GH", "n"),
    Slot("candidate/bias", "b", "GH", "n"),
)

block = (
    Slot("w", "Wx Wh", "I+H GH"),
    Slot("wci", "p", "H", "i"),
    Slot("wcf", "p", "H", "f"),
    Slot("wco", "p", "H", "o"),
    Slot("b", "b", "GH"),
)


def block_rows(order: str, forget_bias: float) -> dict[str, Row]:
    return {
        "LSTM": Row("use_peephole=False", order, block, "tanh", "sigmoid", forget_bias),
        "PeepholeLSTM": Row("use_peephole=True", order, block, "tanh", "sigmoid", forget_bias),
    }


torch = (
    Slot("weight_ih_l0", "Wx", "GH I", turned=True),
    Slot("weight_hh_l0", "Wh", "GH H", turned=True),
    Slot("bias_ih_l0", "bx", "GH", optional=True),
    Slot("bias_hh_l0", "bh", "GH", optional=True),
)

onnx = (
    Slot("W", "Wx", "1 GH I", turned=True),
    Slot("R", "Wh", "1 GH H", turned=True),
    Slot("B", "bx bh", "1 2GH", optional=True),
)

cudnn = (
    Slot("W", "Wx", "GH I", turned=True),
    Slot("R", "Wh", "GH H", turned=True),
    Slot("bW", "bx", "GH"),
    Slot("bR", "bh", "GH"),
)

PASSPORTS: dict[str, Passport] = {
    "keras3": Passport("Keras 3", keras_rows, SLOPE, BOTH_WAYS, "layer.set_weights(list(arrays.values())). Our own layout."),
    "keras2": Passport(
        "Keras 2 (tf_keras)",
        keras_rows,
        0.2,
        BOTH_WAYS + RESCALED,
        "layer.set_weights(list(arrays.values())). The same names as Keras 3, but hard_sigmoid is another function.",
    ),
    "tf1": Passport(
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
    "block_lstm": Passport(
        "tf.raw_ops.BlockLSTM",
        block_rows("i g f o", 1.0),
        None,
        BOTH_WAYS + FORGET,
        "BlockLSTM(**arrays, cell_clip=-1, ...): the default clips c. x is time-major. g is called ci. b and wc* are required.",
    ),
    "block_lstm_v2": Passport(
        "tf.raw_ops.BlockLSTMV2",
        block_rows("i f g o", 0.0),
        None,
        BOTH_WAYS,
        "BlockLSTMV2(**arrays, ...), x is time-major. g is called ci. No forget bias at run time. b and wc* are required.",
    ),
    "torch": Passport(
        "torch.nn",
        {
            "SimpleRNN": Row("RNN", "h", torch, "tanh relu", ""),
            "LSTM": Row("LSTM", "i f g o", torch, "tanh", "sigmoid"),
            "GRU reset after": Row("GRU", "r z n", torch, "tanh", "sigmoid"),
        },
        None,
        BOTH_WAYS + MERGED,
        "module.load_state_dict({name: torch.from_numpy(a) ...}). One layer, one direction. GRU is reset after only.",
    ),
    "onnx": Passport(
        "ONNX",
        {
            "SimpleRNN": Row("RNN", "h", onnx),
            "LSTM": Row("LSTM", "i o f g", onnx),
            "PeepholeLSTM": Row("LSTM with P", "i o f g", (*onnx, Slot("P", "p", "1 GH", "i o f"))),
            "GRU reset after": Row("GRU(linear_before_reset=1)", "z r n", onnx),
            "GRU reset before": Row("GRU(linear_before_reset=0)", "z r n", onnx),
        },
        0.2,
        BOTH_WAYS + MERGED + RESCALED,
        "slope is HardSigmoid's default alpha; a node with alpha = 1/6 is read with slope=1/6 and needs no rescaling. See to_onnx.",
    ),
    "cudnn": Passport(
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


def kind(cell: Any) -> str:
    """The row that describes a cell: its class, and for a GRU where the reset gate acts."""
    name = type(cell).__name__
    return f"{name} reset {'after' if cell.reset_after else 'before'}" if name == "GRU" else name


def describe(framework: str) -> str:
    """A framework's passport as text."""
    passport = PASSPORTS[framework]
    lines = [f"{framework}: {passport.name}. {passport.note}", f"  exact: {passport.exact}"]
    for cell, row in passport.rows.items():
        forget = f", forget bias {row.forget_bias:g} added at run time" if row.forget_bias else ""
        lines.append(f"  {cell}: {row.called}, gates {row.gates}{forget}")
        lines += [
            f"      {s.name} [{', '.join(s.shape.split())}] = {' over '.join(s.parts.split())}{', transposed' * s.turned}"
            f"{f', gates {s.gates}' if s.gates else ''}{', optional' * s.optional}"
            for s in row.slots
        ]
    return "\n".join(lines)
