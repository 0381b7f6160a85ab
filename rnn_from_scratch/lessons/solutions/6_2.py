"""An LSTM of one unit that counts. Set its weights by hand.

It has two inputs. A 1 at COUNT adds 1 to the cell c. A 1 at RESET sets c to 0. They never come together.
c has to be right to 0.01 after every step of sequences of 60 steps.
"""

import numpy as np

COUNT, RESET = 0, 1


def weights():
    """By name: Wx [2,4], Wh [1,4], b [4]; the columns are the gates i, f, g, o. Begin with zeros: np.zeros((2, 4))."""
    Wx, Wh, b = np.zeros((2, 4)), np.zeros((1, 4)), np.zeros(4)
    Wx[COUNT, 0], b[0] = 40, -20  # i: open on COUNT
    Wx[RESET, 1], b[1] = -40, 20  # f: open, but shut on RESET
    b[2] = 20  # g = 1
    return {"Wx": Wx, "Wh": Wh, "b": b}
