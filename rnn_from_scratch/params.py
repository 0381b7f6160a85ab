"""Shapes, initial values and every argument check. The public calls check once, here; nothing inside checks again."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array_kinds import as_numpy, on_gpu
from .typing import Array, Cell

REAL = (np.dtype("float32"), np.dtype("float64"))


def cell_name(cell: Cell) -> str:
    return type(cell).__name__


def param_shapes(cell: Cell, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter of `cell`, in order: Wx, Wh, then b (or bx, bh), then p."""
    columns = len(cell.gates) * units
    shapes: dict[str, tuple[int, ...]] = {"Wx": (inputs, columns), "Wh": (units, columns)}
    if getattr(cell, "use_bias", True):
        shapes.update({"b": (columns,)} if cell.shared else {"bx": (columns,), "bh": (columns,)})
    if cell.extras:
        shapes["p"] = (len(cell.extras), units)
    return shapes


def init_params(cell: Cell, inputs: int, units: int, rng: int | np.random.Generator = 0, dtype: str = "float32") -> dict[str, Array]:
    """New parameters with Keras' defaults: glorot uniform Wx, orthogonal Wh, zero biases but where the cell says otherwise (initial_bias).

    cell            one of cells, or an object of that shape
    inputs, units   I and H, at least 1
    rng             a seed or a NumPy generator; the same seed gives the same bits
    dtype           float32 or float64

    Returns name -> array: Wx [I,G*H], Wh [H,G*H], b [G*H] (or bx and bh), the columns gate by gate in the order of cell.gates;
    peepholes p [E,H] are glorot uniform per row, as in TensorFlow 1's cell.
    Raises ValueError or TypeError. Sources: Glorot & Bengio 2010, eq. 16; Saxe et al. 2014; Jozefowicz et al. 2015 (forget bias).

    >>> from rnn_from_scratch import cells, init_params
    >>> params = init_params(cells.LSTM(), inputs=3, units=5)
    >>> {name: array.shape for name, array in params.items()}
    {'Wx': (3, 20), 'Wh': (5, 20), 'b': (20,)}
    >>> params["b"].reshape(4, 5)[:, 0].tolist()  # the gates i, f, g, o: only the forget gate's bias begins with 1
    [0.0, 1.0, 0.0, 0.0]
    """
    for name, value in (("inputs", inputs), ("units", units)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}: expected an integer of at least 1, got {value!r}")
    if np.dtype(dtype) not in REAL:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype}")
    rng = np.random.default_rng(rng)
    params: dict[str, Array] = {}
    for name, shape in param_shapes(cell, inputs, units).items():
        if name == "Wx":
            params[name] = glorot(rng, shape, fan_in=inputs, fan_out=shape[1]).astype(dtype)
        elif name == "Wh":
            params[name] = np.ascontiguousarray(orthogonal(rng, shape), dtype)
        elif name == "p":
            params[name] = glorot(rng, shape, fan_in=units, fan_out=units).astype(dtype)
        else:
            params[name] = np.zeros(shape, dtype)
    for gate, value in getattr(cell, "initial_bias", {}).items() if "b" in params else ():
        params["b"].reshape(len(cell.gates), units)[cell.gates.index(gate)] = value
    return params


def glorot(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
    limit = np.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """[H, G*H] with orthonormal rows: the Q of a QR decomposition of normal values, signs made unique."""
    q, r = np.linalg.qr(rng.standard_normal(shape[::-1]))
    return (q * np.sign(np.diagonal(r))).T


def expect_shape(name: str, array: Array, symbols: str, shape: tuple[int, ...], cell: Cell) -> None:
    """Raise ValueError unless array has `shape`; `symbols` is the same shape in letters, as in '[H, 4H]'."""
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"{name}: expected {symbols} = {list(shape)} for {cell_name(cell)}, got {list(array.shape)}")


def expect_dtype(name: str, array: Array, dtype: np.dtype) -> None:
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, the dtype of x, got {array.dtype}; use {name}.astype({str(dtype)!r})")


def as_array(name: str, value: Any, x: Array) -> Array:
    """value as an array of the kind of x. Raises TypeError for a CuPy array beside a NumPy x, and the other way round."""
    if type(value) is type(x) is np.ndarray:
        return value
    if on_gpu(value) == on_gpu(x):
        return value if on_gpu(value) else as_numpy(name, value)
    expected, got = ("CuPy", "NumPy") if on_gpu(x) else ("NumPy", "CuPy")
    way = f"cupy.asarray({name})" if on_gpu(x) else f"cupy.asnumpy({name})"
    raise TypeError(f"{name}: expected a {expected} array, as x is, got a {got} array; use {way}")


def check_x(x: Any) -> Array:
    x = as_array("x", x, x)
    if x.dtype not in REAL and x.dtype != np.complex128:
        raise TypeError(f"x: expected float32 or float64, got {x.dtype}")
    if x.ndim != 3:
        raise ValueError(f"x: expected [B, T, I], got {x.ndim} dimensions: {list(x.shape)}")
    if x.shape[1] < 1 or x.shape[2] < 1:
        raise ValueError(f"x: expected [B, T, I] with T and I of at least 1, got {list(x.shape)}")
    return x


def check_params(cell: Cell, params: Any, x: Array) -> dict[str, Array]:
    """The parameters as arrays, in the order of param_shapes, after every check against the cell and x."""
    if are_right(cell, params, x):
        return params
    if not isinstance(params, dict):
        raise TypeError(f"params: expected a dict of arrays for {cell_name(cell)}, got {type(params).__name__}")
    expected = list(param_shapes(cell, 1, 1))
    missing, unknown = [n for n in expected if n not in params], [n for n in params if n not in expected]
    if missing or unknown:
        found = [f"{what} {', '.join(map(str, names))}" for what, names in (("missing", missing), ("unknown", unknown)) if names]
        raise ValueError(f"params: expected exactly {', '.join(expected)} for {cell_name(cell)}; {'; '.join(found)}")
    arrays = {n: as_array(n, params[n], x) for n in expected}
    if arrays["Wh"].ndim != 2 or arrays["Wh"].shape[0] < 1:
        raise ValueError(f"Wh: expected [H, {letters(cell)}] for {cell_name(cell)}, got {list(arrays['Wh'].shape)}")
    units = arrays["Wh"].shape[0]
    symbols = {"Wx": f"[I, {letters(cell)}]", "Wh": f"[H, {letters(cell)}]", "p": f"[{len(cell.extras)}, H]"}
    for name, shape in sorted(param_shapes(cell, x.shape[2], units).items(), key=lambda item: item[0] != "Wh"):  # Wh says what H is
        expect_shape(name, arrays[name], symbols.get(name, f"[{letters(cell)}]"), shape, cell)
        expect_dtype(name, arrays[name], x.dtype)
    return arrays


def are_right(cell: Cell, params: Any, x: Array) -> bool:
    """Whether params are what check_params returns. It is quick, and says no more: what is wrong takes longer to tell."""
    if type(params) is not dict or type(x) is not np.ndarray or type(params.get("Wh")) is not np.ndarray:
        return False
    shapes = param_shapes(cell, x.shape[2], len(params["Wh"])) if params["Wh"].size else {}
    return list(params) == list(shapes) and all(
        type(a) is np.ndarray and a.shape == shapes[name] and a.dtype == x.dtype for name, a in params.items()
    )


def letters(cell: Cell) -> str:
    """'4H' for an LSTM, 'H' for one gate."""
    return f"{len(cell.gates)}H" if len(cell.gates) > 1 else "H"


def check_states(name: str, values: Any, cell: Cell, x: Array, units: int) -> tuple[Array | None, ...]:
    """A tuple with one [B, H] array, or None, per state of the cell."""
    count = len(cell.states)
    listed = f"a tuple of {count} array{'s' * (count > 1)} ({', '.join(cell.states)})"
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"{name}: expected {listed} for {cell_name(cell)}, got {type(values).__name__}")
    if len(values) != count:
        raise ValueError(f"{name}: expected {listed} for {cell_name(cell)}, got {len(values)}")
    checked = []
    for part, value in zip(cell.states, values):
        array = None if value is None else as_array(f"{name} {part}", value, x)
        if array is not None:
            expect_shape(f"{name} {part}", array, "[B, H]", (x.shape[0], units), cell)
            expect_dtype(f"{name} {part}", array, x.dtype)
        checked.append(array)
    return tuple(checked)


def check_initial_state(values: Any, cell: Cell, x: Array, units: int) -> tuple[Array, ...]:
    """The given initial states, or zeros."""
    values = (None,) * len(cell.states) if values is None else values
    states = check_states("initial_state", values, cell, x, units)
    if on_gpu(x):
        return tuple(np.zeros_like(x, shape=(x.shape[0], units)) if s is None else s for s in states)
    return tuple(np.zeros((x.shape[0], units), x.dtype) if s is None else s for s in states)


def check_mask(mask: Any, lengths: Any, cell: Cell, x: Array) -> Array | None:
    """The mask [B, T] of live steps, bool; None if every step is live. `lengths` means arange(T) < lengths."""
    B, T, _ = x.shape
    if mask is not None and lengths is not None:
        raise ValueError("lengths: expected either mask or lengths, got both; lengths means mask = arange(T) < lengths")
    if mask is not None:
        mask = mask if on_gpu(mask) else as_numpy("mask", mask)
        expect_shape("mask", mask, "[B, T]", (B, T), cell)
        if mask.dtype != bool:
            raise TypeError(f"mask: expected bool, True at live steps, got {mask.dtype}; use mask.astype(bool)")
        return mask
    if lengths is None:
        return None
    lengths = lengths.get() if on_gpu(lengths) else as_numpy("lengths", lengths)
    if lengths.size == 0 and B == 0:
        lengths = lengths.astype(int)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got {lengths.dtype}")
    expect_shape("lengths", lengths, "[B]", (B,), cell)
    if B and (lengths.min() < 0 or lengths.max() > T):
        raise ValueError(f"lengths: expected values in 0..{T}, the number of steps in x, got {lengths.min()}..{lengths.max()}")
    return np.arange(T) < lengths[:, None]


def check_scale(name: str, scale: Any, width: tuple[str, int], cell: Cell, x: Array) -> Array | None:
    """A dropout scale: None, [B, width] or [G, B, width]."""
    if scale is None:
        return None
    scale, letter, size = as_array(name, scale, x), *width
    B, G = x.shape[0], len(cell.gates)
    if scale.ndim == 3:
        expect_shape(name, scale, f"[G, B, {letter}]", (G, B, size), cell)
    elif scale.shape != (B, size):
        either = f"[B, {letter}] = {[B, size]} or [G, B, {letter}] = {[G, B, size]}"
        raise ValueError(f"{name}: expected {either} for {cell_name(cell)}, got {list(scale.shape)}")
    expect_dtype(name, scale, x.dtype)
    return scale


def check_upstream(tape: Any, dy: Any, dstate: Any) -> tuple[Array | None, tuple[Array | None, ...]]:
    """dy [B, T, H] or None, and dstate as a tuple of [B, H] or None."""
    x, units = tape.x, tape.params["Wh"].shape[0]
    if dy is None and (dstate is None or all(d is None for d in dstate)):
        raise ValueError("backward: expected dy or dstate, got neither: give the loss's gradient by y, by the final state, or both")
    if dy is not None:
        dy = as_array("dy", dy, x)
        expect_shape("dy", dy, "[B, T, H]", (*x.shape[:2], units), tape.cell)
        expect_dtype("dy", dy, x.dtype)
    if dstate is None:
        return dy, (None,) * len(tape.cell.states)
    return dy, check_states("dstate", dstate, tape.cell, x, units)


def check_wrt(wrt: Any, known: tuple[str, ...] = ("x", "params", "initial_state")) -> tuple[str, ...]:
    wrt = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in wrt:
        if name not in known:
            raise ValueError(f"wrt: expected names from {', '.join(known)}, got {name!r}")
    return wrt
