"""The derivative of any function of one number, by calling it. It has to be right to nine digits.

The functions take real numbers only, of a size near 1.
"""


def derivative(f, w):
    """The derivative of f at w."""
    raise NotImplementedError("fill in derivative()")
