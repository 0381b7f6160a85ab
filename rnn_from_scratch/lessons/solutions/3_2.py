"""The derivative of any function of one number, by calling it. It has to be right to nine digits.

The functions take real numbers only, of a size near 1.
"""


def derivative(f, w):
    """The derivative of f at w."""
    s = 1e-5  # the bend costs s**2 = 1e-10, rounding 1e-16 / s = 1e-11
    return (f(w + s) - f(w - s)) / (2 * s)
