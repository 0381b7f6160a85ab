"""Let a model write. It says how likely each character comes next; you draw, and feed back what was drawn."""

import numpy as np


def write(model, go, eos, limit, rng):
    """model(code) -> probabilities [V] of the next character, given the last one; it remembers what came before.

    go is the first input. Write until eos is drawn, which does not belong to the text, or until there are `limit` characters.
    rng is a generator of NumPy: rng.choice(V, p=p) draws. Returns the list of codes.
    """
    code, text = go, []
    while len(text) < limit:
        p = model(code)
        code = rng.choice(len(p), p=p)
        if code == eos:
            break
        text.append(int(code))
    return text
