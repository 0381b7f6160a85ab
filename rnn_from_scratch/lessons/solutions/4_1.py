"""Recurrent weights for a linear network that let no gradient vanish or explode: its norm stays the same in every step back.

Make random ones, of any size H. Every unit should hear from several others.
"""

import numpy as np  # rng is a generator of NumPy: rng.standard_normal((H, H)) makes an array of random numbers


def make_Wh(H, rng):
    """Wh [H,H]."""
    return np.linalg.qr(rng.standard_normal((H, H)))[0]  # Q is orthogonal: the norm of Q^T v is that of v
