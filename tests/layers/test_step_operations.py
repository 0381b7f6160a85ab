"""In keras.layers.RNN a step of our cells runs no more operations than a step of tf.keras' own: clocks vary, graphs do not."""

from collections import Counter

import keras
import pytest
import tensorflow as tf

from rnn_from_scratch import layers

STACKS = {
    "LSTM": lambda m: [m.LSTMCell(5)],
    "2 LSTMs": lambda m: [m.LSTMCell(5), m.LSTMCell(3)],
    "2 GRUs": lambda m: [m.GRUCell(5), m.GRUCell(3)],
    "2 GRUs, reset before": lambda m: [m.GRUCell(5, reset_after=False), m.GRUCell(3, reset_after=False)],
    "2 SimpleRNNs": lambda m: [m.SimpleRNNCell(5), m.SimpleRNNCell(3)],
    "LSTM, no bias": lambda m: [m.LSTMCell(5, use_bias=False)],
}
FREE = {"Const", "Identity", "NoOp", "Placeholder"}  # nothing is computed


def operations(module, stack, batch):
    """What runs in every step of training, forward and backward: the operations in the bodies of the graph's loops."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((7, 4)), keras.layers.RNN(STACKS[stack](module)), keras.layers.Dense(1)])

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(x, training=True) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    graph = gradients.get_concrete_function(tf.TensorSpec([batch, 7, 4])).graph.as_graph_def()
    functions = {function.signature.name: function for function in graph.library.function}
    loops = [node for node in graph.node if node.op in ("While", "StatelessWhile")]
    assert len(loops) == 2, "one loop for forward, one for backward"
    bodies = [functions[loop.attr["body"].func.name] for loop in loops]
    return Counter(node.op for body in bodies for node in body.node_def if node.op not in FREE)


@pytest.mark.parametrize("batch", [6, None], ids=["batch known", "batch unknown"])
@pytest.mark.parametrize("stack", [s if s == "2 SimpleRNNs" else pytest.param(s, marks=pytest.mark.check) for s in STACKS])
def test_no_more_operations_in_a_step_than_keras_has(stack, batch):
    ours, theirs = operations(layers, stack, batch), operations(keras.layers, stack, batch)
    assert ours["MatMul"] == theirs["MatMul"] > 0
    assert ours.total() <= theirs.total(), (ours - theirs, theirs - ours)
