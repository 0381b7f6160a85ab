"""A linear neuron h = w * h_prev + x gets a pulse of 1, and then zeros.

Choose w so that half of the pulse is left STEPS steps later.
"""

STEPS = 20


def weight():
    """The weight w."""
    return 0.5 ** (1 / STEPS)  # w**STEPS = 0.5
