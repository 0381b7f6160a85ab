"""A cell with planted differences, written apart from the package: one row, one step and one gate at a time, nothing imported.

theirs(kind, activation, recurrent_activation, params, x, planted) computes what an implementation would that differs from ours by
`planted`, a dict group -> value with the names of interop/mismatches.py.
"""

import numpy as np

ORDER = {"SimpleRNN": "h", "LSTM": "i f g o", "PeepholeLSTM": "i f g o", "GRU": "z r n"}


def function(name):
    return {
        "tanh": lambda a: (1 - np.exp(-2 * np.abs(a))) / (1 + np.exp(-2 * np.abs(a))) * np.sign(a),
        "relu": lambda a: np.maximum(a, 0),
        "linear": lambda a: a,
        "sigmoid": lambda a: 0.5 * (1 + np.tanh(a / 2)),
        "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
        "hard_sigmoid 1/6": lambda a: np.clip(a / 6 + 0.5, 0, 1),
        "hard_sigmoid 0.2": lambda a: np.clip(0.2 * a + 0.5, 0, 1),
    }[name]


def by_gate(a, kind, planted):
    """The blocks of the last axis under the names that theirs gives them."""
    names = planted.get("gate order", ORDER[kind]).split()
    return dict(zip(names, np.split(a, len(names), axis=-1)))


def weights(name, params, kind, planted):
    W, value = params[name], planted.get("transposed weights", "")
    words = value.removesuffix(" reshaped").split(" and ")
    if name in words and value.endswith("reshaped"):
        held = np.array(list(W.flat)).reshape(W.shape[1], W.shape[0])  # theirs keeps [GH, K] and uses its transpose
        W = np.array([[held[column, row] for column in range(W.shape[1])] for row in range(W.shape[0])])
    blocks = by_gate(W, kind, planted)
    if name in words and not value.endswith("reshaped"):
        blocks = {gate: block.T for gate, block in blocks.items()}
    return blocks


def biases(params, kind, planted):
    if "bx" in params:
        bx, bh = params["bx"], params["bh"]
    else:
        bx = params.get("b", np.zeros(params["Wx"].shape[1]))
        bh = np.zeros_like(bx)
    bx, bh = {
        "": (bx, bh),
        "twice": (bx, bx),
        "left out": (np.zeros_like(bx), np.zeros_like(bh)),
        "bh left out": (bx, np.zeros_like(bh)),
        "bx left out": (np.zeros_like(bx), bh),
        "swapped": (bh, bx),
        "merged": (bx + bh, np.zeros_like(bh)),
    }[planted.get("biases", "")]
    return by_gate(bx, kind, planted), by_gate(bh, kind, planted)


def theirs(kind, reset, activation, recurrent_activation, params, x, planted):
    """y [B,T,H]. kind: a name in ORDER; reset: before, after or None."""
    W, U = weights("Wx", params, kind, planted), weights("Wh", params, kind, planted)
    bx, bh = biases(params, kind, planted)
    phi = function(planted.get("activation", activation))
    sigma = function(planted.get("gate activation") or planted.get("hard_sigmoid slope") or recurrent_activation or "sigmoid")
    reset = planted.get("reset gate", reset)
    forget = float(planted.get("forget bias", 0))
    source = planted.get("peepholes", "")
    p = dict(zip("ifo", params["p"])) if "p" in params else None
    if len(source) == 5 and source[1] == " ":
        p = dict(zip(source.split(), params["p"]))
    if p is None or source == "left out":
        p = dict.fromkeys("ifo", 0.0)
    if planted.get("time", "") in ("reversed x", "reversed x and y"):
        x = x[:, ::-1]
    H = params["Wh"].shape[0]
    y = np.zeros((*x.shape[:2], H))
    for b in range(x.shape[0]):
        h, c = np.zeros(H), np.zeros(H)
        for t in range(x.shape[1]):

            def a(gate, row=x[b, t], operand=h):
                return bx[gate] + row @ W[gate] + operand @ U[gate] + bh[gate]

            if kind == "SimpleRNN":
                h = phi(a("h"))
            elif kind == "GRU":
                z, r = sigma(a("z")), sigma(a("r"))
                if reset == "after":
                    n = phi(bx["n"] + x[b, t] @ W["n"] + r * (h @ U["n"] + bh["n"]))
                else:
                    n = phi(bx["n"] + x[b, t] @ W["n"] + bh["n"] + (r * h) @ U["n"])
                h = (1 - z) * n + z * h
            else:
                i, f, old = sigma(a("i") + p["i"] * c), sigma(a("f") + forget + p["f"] * c), c
                c = f * c + i * phi(a("g"))
                o = sigma(a("o") + p["o"] * (old if source == "o at c_prev" else c))
                h = o * phi(c)
            y[b, t] = h
    return y[:, ::-1] if planted.get("time", "") in ("reversed y", "reversed x and y") else y
