"""Keras layers, TensorFlow, torch and JAX functions as pairs of NumPy functions, which check_function takes.

    of_keras(layer, x).assert_gradients(time_axis=1, blocks={"kernel": ("i", "f", "c", "o")})
    assert_gradients(*of_torch(MyFunction.apply, x, W))

Each of_...(callable, *inputs) returns a Pair. An input is an array or a tensor of the framework (one that requires grad too), or
tuples, lists, dicts and dataclasses of them; numbers, words and None are passed on as they are. Outputs are nested alike, and one
that is None is left out. The names of the arrays are those of the signature that is called: x, h.0, h.1, params.W. What a module
keeps (running statistics, counters, random generators) is after each call what it was before.

With order=2 the pair is the gradient as forward_fn, a function of the inputs and of the upstream gradients, and the gradient of
that as backward_fn: what a framework offers of second order is checked. Where it offers nothing, its error says so (that of
rnn_from_scratch.layers does), or the report calls the gradient missing.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ...array_kinds import of_tensor
from .pairs import Pair as Pair
from .pairs import pair
from .structure import leaves, named_inputs, rebuilt
from .tensors import Jax, TensorFlow, Torch
from .traces import State, Untouched, bound_objects, reachable, tensor_states


def of_tensorflow(function: Callable[..., Any], *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A function of tensors: plain, tf.function or tf.custom_gradient.

    inputs   arrays or tensors, or tuples, lists, dicts of them
    names    of the inputs; default: those of the function's parameters
    order    2: the gradient of the gradient (see above)

    Raises ImportError without TensorFlow, TypeError for an argument or an output that is no tensor, by its name.
    """
    tf = needed("tensorflow")
    found, arrays = named_inputs("of_tensorflow", function, inputs, names)
    around = reachable(function)
    variables = [v for at in around if hasattr(at, "non_trainable_variables") for v in at.non_trainable_variables]
    variables += [at for at in around if isinstance(at, tf.Variable)]

    def call(sources):
        return leaves("of_tensorflow", function(*rebuilt(tuple(inputs), iter(sources))), tf.is_tensor)

    layers = [part for at in around for part in parts_of_layer(at)]
    untouched = Untouched([*bound_objects(around), *layers], [variable_state(v) for v in variables if not is_seed(v)], around)
    return pair(TensorFlow(tf), arrays, found, call, order, untouched)


def of_keras(layer: Any, *inputs: Any, order: int = 1, graph: bool = True, **call_options: Any) -> Pair:
    """A layer or cell of Keras 3 on TensorFlow, or of tf_keras. Its trainable weights are inputs of the pair too.

    inputs         what the layer is called with: x, or x and a list of states for a cell
    graph          run it in a tf.function, as fit does; False: eagerly, which is slower and takes layers that use NumPy
    call_options   keyword arguments of the call: mask=..., training=True
    order          as for of_tensorflow

    The layer's weights are set at every call and set back after it; a layer without weights is left so, and a copy is checked.
    Raises ImportError without TensorFlow, ValueError where the layer computes in another dtype than that of its inputs or has no
    weights and cannot be copied, TypeError for an argument or an output that is no tensor.
    """
    tf = needed("tensorflow")
    found, arrays = named_inputs("of_keras", layer.call, inputs)
    count = len(arrays)
    for a in arrays:
        if a.dtype.kind == "f" and a.dtype != layer.compute_dtype:
            expected = f"expected inputs of {layer.compute_dtype}, in which {layer.name} computes, got {a.dtype}"
            raise ValueError(f"of_keras: {expected}: make the layer with dtype={str(a.dtype)!r}")

    def call(sources):
        return leaves("of_keras", layer(*rebuilt(tuple(inputs), iter(sources)), **call_options), tf.is_tensor)

    if not layer.built:
        with Untouched([], []).call():  # new weights draw random numbers
            layer = copy_of_layer(layer)
            call([tf.constant(a) for a in arrays])
    run = tf.function(call) if graph else call
    weights = list(layer.trainable_weights)
    own = [w.numpy() for w in weights]
    variables = [w if callable(w.value) else w.value for w in weights]  # Keras 3 wraps the tf.Variable
    trained = {id(w) for w in weights}
    others = [v for v in layer.variables if id(v) not in trained and not is_seed(v)]
    untouched = Untouched(parts_of_layer(layer), [variable_state(v) for v in others])
    found += [w.name.split("/")[-1].split(":")[0] for w in weights]
    return pair(TensorFlow(tf, count, variables, own), [*arrays, *own], found, lambda sources: run(sources[:count]), order, untouched)


def parts_of_layer(layer: Any) -> list[Any]:
    """A Keras layer and the layers in it, whose attributes a call may change; [] of anything else."""
    return list(layer._flatten_layers()) if hasattr(layer, "_flatten_layers") else []


def is_seed(variable: Any) -> bool:
    """The state of a random generator: traces.py has it move on."""
    return "seed_generator_state" in variable.name


def variable_state(variable: Any) -> State:
    """Of a tf.Variable, or of Keras' variable around one."""
    return State(variable.numpy, variable.assign)


def copy_of_layer(layer: Any) -> Any:
    """A layer with the same config. Raises ValueError if the layer cannot be made again from that."""
    try:
        config, takes = layer.get_config(), inspect.signature(type(layer).__init__).parameters
        if not any(p.kind == p.VAR_KEYWORD for p in takes.values()):
            config = {name: value for name, value in config.items() if name in takes}
        return type(layer).from_config(config)
    except Exception as error:  # whatever its class makes of its config
        first_line = (str(error).strip().splitlines() or [""])[0]
        why = f"{layer.name} has no weights yet and cannot be copied by its config ({type(error).__name__}: {first_line[:100]})"
        raise ValueError(f"of_keras: {why}: call it once on data first") from error


def of_torch(function: Any, *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A torch module (scripted and traced ones too), whose parameters become inputs of the pair, or a function of tensors such as
    MyFunction.apply.

    inputs, names, order   as for of_tensorflow

    Raises ImportError without torch, TypeError as of_tensorflow does and for tensors that are not on the CPU.
    """
    torch = needed("torch")
    skip, signature = 0, function
    if isinstance(function, torch.nn.Module):
        signature = function.forward
    elif isinstance(getattr(function, "__self__", None), type) and issubclass(function.__self__, torch.autograd.Function):  # apply
        owner = function.__self__
        signature = owner.forward
        skip = int(owner.setup_context is torch.autograd.Function.setup_context)  # forward begins with ctx, but for the newer style
    found, arrays = named_inputs("of_torch", signature, inputs, names, skip)
    count, parameters, own, around = len(arrays), {}, [], reachable(function)
    compiled = isinstance(function, torch.jit.ScriptModule)
    if isinstance(function, torch.nn.Module):
        if any(torch.nn.parameter.is_lazy(p) for p in function.parameters()):
            raise ValueError(f"of_torch: {type(function).__name__} has parameters without a shape: call it once on data first")
        parameters = {name: of_tensor(name, p, detach=True).copy() for name, p in function.named_parameters()}
        if compiled:  # its parameters cannot be handed in: a copy takes them
            function = copy.deepcopy(function)
            around, own = [function], list(function.parameters())
    buffers = dict(function.named_buffers()) if parameters or isinstance(function, torch.nn.Module) else {}

    def call(sources):
        given = rebuilt(tuple(inputs), iter(sources[:count]))
        if compiled or not isinstance(function, torch.nn.Module):
            return leaves("of_torch", function(*given), torch.is_tensor)
        moving = {name: b.clone() for name, b in buffers.items()}  # running statistics move in a copy
        tensors = {**dict(zip(parameters, sources[count:])), **moving}
        return leaves("of_torch", torch.func.functional_call(function, tensors, given), torch.is_tensor)

    modules = [m for at in around if isinstance(at, torch.nn.Module) for m in at.modules()]
    owners = [m for m in modules if not isinstance(m, torch.jit.ScriptModule)]
    untouched = Untouched([*owners, *bound_objects(around)], tensor_states(modules), around)
    return pair(Torch(torch, order == 2, count, own), [*arrays, *parameters.values()], [*found, *parameters], call, order, untouched)


def of_jax(function: Callable[..., Any], *inputs: Any, names: Sequence[str] | None = None, order: int = 1) -> Pair:
    """A JAX function, with jax.custom_vjp or without; inputs, names, order as for of_tensorflow.

    Raises ImportError without JAX, ValueError if its float64 is off, TypeError as of_tensorflow does.
    """
    jax = needed("jax")
    found, arrays = named_inputs("of_jax", function, inputs, names)
    if any(a.dtype == np.float64 for a in arrays) and not jax.config.jax_enable_x64:
        raise ValueError('of_jax: float64 inputs need jax.config.update("jax_enable_x64", True) before any other use of JAX')

    def call(sources):
        return leaves("of_jax", function(*rebuilt(tuple(inputs), iter(sources))), lambda y: hasattr(y, "dtype") and hasattr(y, "shape"))

    around = reachable(function)
    return pair(Jax(jax), arrays, found, call, order, Untouched(bound_objects(around), [], around))


def needed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"needs {name}, which is not installed: pip install {name}") from error
