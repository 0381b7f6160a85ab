"""Common mistakes in the exercises: a change of the solution, and what the checker has to say of it.

exercise -> rows of (name, old, new, arrays, block, step): the culprit is in one of the arrays (empty: any of them) and in this block
(None: any), and the error is born at this step (None: whatever is said).
"""

ANY: tuple[str, ...] = ()
SLIPS = {
    "2.1": [
        ("no slope", "da = dh * (1 - h**2)", "da = dh", ANY, "", None),
        ("the slope of the other side", "(1 - h**2)", "(1 - h_prev**2)" + " if h.shape == h_prev.shape else 0", ANY, "", None),
        ("dx from dh", "return da @ Wx.T", "return dh @ Wx.T", ("x",), "", None),
        ("dh_prev from dh", "da @ Wh.T", "dh @ Wh.T", ("h_prev",), "", None),
        ("Wh not transposed", "da @ Wh.T", "da @ Wh", ("h_prev",), "", None),
        ("h for h_prev", "h_prev.T @ da", "h.T @ da", ("Wh",), "", None),
        ("dWx from dh", "x.T @ da", "x.T @ dh", ("Wx",), "", None),
        ("mean for sum", "da.sum(axis=0)", "da.mean(axis=0)", ("b",), "", None),
    ],
    "2.2": [
        ("no way through Wh", "dh = dh * (1 - K) + da @ Wh.T", "dh = dh * (1 - K)", ANY, "", 1),
        ("no way past tanh", "dh = dh * (1 - K) + da @ Wh.T", "dh = da @ Wh.T", ANY, "", 1),
        ("nothing carried", "dh = dh + dy[:, t]", "dh = dy[:, t]", ANY, "", 1),
        ("slope in h", "(1 - n**2)", "(1 - y[:, t] ** 2)", ANY, "", 0),
        ("no K", "da = dh * K * ", "da = dh * ", ANY, "", 0),
        ("h for h_prev", "dWh += h_prev.T", "dWh += y[:, t].T", ("Wh",), "", 0),
        ("first state not 0", "y[:, t - 1] if t > 0 else np.zeros_like(dh)", "y[:, t - 1]", ANY, "", 0),
        ("dWx assigned", "dWx += ", "dWx = ", ("Wx",), "", 1),
        ("db assigned", "db += ", "db = ", ("b",), "", 1),
    ],
    "4.2": [
        ("not divided by T", "dy / T", "dy", ANY, "", 1),
        ("nothing carried", "dh = dh + dy / T", "dh = dy / T", ANY, "", 1),
        ("only the last state is heard", "dh + dy / T", "dh + (dy / T if t == T - 1 else 0)", ANY, "", 1),
        ("Wh not transposed", "dh = da @ Wh.T", "dh = da @ Wh", ANY, "", 1),
        ("h for h_prev", "dWh += h_prev.T", "dWh += new.T", ("Wh",), "", 0),
        ("dx from dh", "dx[:, t] = da", "dx[:, t] = dh", ("x",), "", 0),
        ("slope of the state before", "slope(new)", "slope(h_prev)", ANY, "", 0),
        ("dWx assigned", "dWx += ", "dWx = ", ("Wx",), "", 1),
    ],
    "6.1": [
        ("no dh from t + 1", "dh = dh + dy[:, t]", "dh = dy[:, t]", ANY, None, 1),
        ("dc not carried", "dc = dc * f", "dc = 0 * dc", ANY, None, 1),
        ("dc carried without f", "dc = dc * f", "dc = dc * 1", ANY, None, 1),
        ("no slope of tanh in dc", " * (1 - tau**2)", "", ANY, None, 0),
        ("c for c_prev", "dc * c_prev", "dc * c", ("Wx", "Wh", "b"), "f", 0),
        ("no slope in o", "dh * tau * o * (1 - o)", "dh * tau", ("Wx", "Wh", "b"), "o", 0),
        ("slope of sigma in g", "(1 - g**2)", "g * (1 - g)", ("Wx", "Wh", "b"), "g", 0),
        ("i for g in the input gate", "dc * g * i", "dc * i * i", ("Wx", "Wh", "b"), "i", 0),
        ("h for h_prev", "h_prev.T @ da", "h.T @ da", ("Wh",), None, 0),
        ("dWx assigned", "dWx += ", "dWx = ", ("Wx",), None, 1),
        ("db assigned", "db += ", "db = ", ("b",), None, 1),
    ],
    "7.1": [
        ("no way through the gate", "dh = dh * z + daz @ U.T", "dh = dh * z", ANY, None, 1),
        ("no way past the gate", "dh = dh * z + daz @ U.T", "dh = daz @ U.T", ANY, None, 1),
        ("nothing carried", "dh = dh + dy[:, t]", "dh = dy[:, t]", ANY, None, 1),
        ("h for h_prev in dz", "(h_prev - n)", "(h - n)", ("W", "b"), "z", 0),
        ("no slope of z", " * z * (1 - z)", "", ("W", "b"), "z", 0),
        ("no slope of n", " * (1 - n**2)", "", ("W", "b"), "n", 0),
        ("z for 1 - z", "dan = dh * (1 - z)", "dan = dh * z", ("W", "b"), "n", 0),
        ("h for h_prev in dU", "dU += h_prev.T", "dU += h.T", ("U",), None, 0),
        ("db assigned", "db += ", "db = ", ("b",), None, 1),
    ],
    "7.2": [
        ("dc not carried", "(0.0, dc), ()", "(0.0, 0 * dc), ()", ANY, None, None),
        ("no slope of tanh in dc", " * (1 - tau**2)", "", ANY, None, None),
        ("no slope in o", "dh * tau * o * (1 - o)", "dh * tau", ANY, "o", None),
        ("no slope in i", "i * (1 - i)", "i", ANY, "i", None),
        ("slope of sigma in g", "(1 - g**2)", "g * (1 - g)", ANY, "g", None),
        ("i and g swapped", "        da = (dai, dag, dao)", "        da = (dag, dai, dao)", ANY, None, None),
    ],
}
# wrong answers to the exercises of behaviour and repair: exercise -> pairs of the solution's text and another one
WRONG = {
    "1.1": [("0.5 ** (1 / STEPS)", "1 - 0.5 / STEPS"), ("0.5 **", "0.5 * 0 + 0.9 **"), ("(1 / STEPS)", "(1 / (STEPS + 1))")],
    "1.2": [("5.0, 3.0", "5.0, 1.1"), ("5.0, 3.0", "2.0, 3.0"), ("5.0, 3.0", "9.0, 3.0"), ("3.0, 0.0", "3.0, 1.0")],
    "3.1": [("h[:, t].T @ da", "h[:, t + 1].T @ da"), ("dh = da @ Wh.T", "dh = 0 * dh"), ("db += ", "db = ")],
    "3.2": [("s = 1e-5", "s = 1e-2"), ("s = 1e-5", "s = 1e-11"), ("(f(w + s) - f(w - s)) / (2 * s)", "(f(w + s) - f(w)) / s")],
    "4.1": [
        ("np.linalg.qr(rng.standard_normal((H, H)))[0]", "np.eye(H)"),
        ("[0]", "[1]"),
        ("rng.standard_normal((H, H)))[0]", "np.ones((H, H)))[0]"),
    ],
    "5.1": [
        ("norm > limit", "norm > 0"),
        ("factor * g", "g.clip(-limit, limit)"),
        ("np.sqrt(sum((g**2).sum() for g in grads.values()))", "max(np.sqrt((g**2).sum()) for g in grads.values())"),
        ("return {", "for g in grads.values():\n        g *= factor\n    return grads\n    return {"),
    ],
    "5.2": [("min(1.0, limit / norm)", "limit / norm"), (" - rate", " + rate"), ("np.sqrt(sum", "(sum"), ("rate * factor", "factor")],
    "6.2": [("b[2] = 20", "b[2] = 1"), ("= -40, 20", "= -40, 1"), ("= 40, -20", "= 40, -2"), ("-40, 20", "-20, 20")],
}
