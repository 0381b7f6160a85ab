"""The exercises: one row each in EXERCISES. What a learner gets is in stubs/, what is right in ../solutions/, for all to read.

command.py has the command `exercise`. The learner's file runs in a process of its own: child.py there, parent.py here. What is
right is decided in judges.py: gradients by the checker, from the forward pass in the file; behaviours.py judges the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

STUBS = Path(__file__).with_name("stubs")
SOLUTIONS = Path(__file__).parents[1] / "solutions"


class Exercise(NamedTuple):
    """A row: its kind says how it is judged, `judge` which function does it.

    hints     one after the other, for --hint; the last one also says why
    shapes    of the inputs of forward and backward, in letters; GH are the gates side by side
    told      what to say about a wrong gradient: "Wh[f]", "Wh" or "carry" (right on the first step, wrong later) -> a hint
    variants  for every variant beside 0: pairs (old, new), replaced in stub and solution where they occur
    """

    id: str
    kind: str  # gradient, cell, behaviour, repair
    title: str
    judge: str
    hints: tuple[str, ...]
    shapes: Mapping[str, str] = {}
    told: Mapping[str, str] = {}
    variants: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def lesson(self) -> int:
        return int(self.id.split(".")[0])

    @property
    def file(self) -> Path:
        """What the learner's file is called."""
        return Path(f"exercise_{self.id.replace('.', '_')}.py")

    def text(self, folder: Path, variant: int = 0) -> str:
        """The stub or the solution, in a variant. What is to be repaired has many bugs, but one solution."""
        found = (folder / f"{self.id.replace('.', '_')}.py").read_text(encoding="utf-8")
        same = folder == SOLUTIONS and self.kind == "repair"
        for old, new in self.variants[variant - 1] if variant and not same else ():
            found = found.replace(old, new)
        return found


SUM = "A sum runs over what? Each sequence and each step of time uses the same weights, so each adds its part."
CARRY = "The last step is right, earlier ones are not. What does step t get from step t + 1?"
SIGMOID = (("np.tanh(a)", "1 / (1 + np.exp(-a))"), ("(1 - h**2)", "h * (1 - h)"), ("tanh", "sigma"))
RNN = {"x": "B T I", "Wx": "I H", "Wh": "H H", "b": "H"}
ROWS = (
    Exercise(
        "1.1", "behaviour", "a neuron that forgets half in 20 steps", "half_life",
        ("After n steps w to the power n is left of a pulse.",
         "Half is left after STEPS steps: solve w**STEPS = 0.5.",
         "w = 0.5 ** (1 / STEPS). The half-life is ln 2 / -ln w: near w = 1 a small change of w is a large change of memory."),
        variants=((("STEPS = 20", "STEPS = 7"),), (("STEPS = 20", "STEPS = 100"),)),
    ),
    Exercise(
        "1.2", "behaviour", "a switch that noise does not turn over", "latch",
        ("With Wh above 1 the neuron has two resting points. The larger Wh is, the more it takes to leave one.",
         "A pulse has to turn it over within one step: at rest Wh * h is nearly Wh, so Wx must be larger than that.",
         "Try Wh = 3, Wx = 5. Noise of 0.2 * Wx = 1 has to stay below what turns it over (1.3 for Wh = 3)."),
    ),
    Exercise(
        "2.1", "gradient", "one step back", "step_gradient",
        ("Begin with da, the derivative by the sum before phi: da = dh * phi'(a), written in h.",
         "a[j] contains x[i] * Wx[i, j]. So dx = da @ Wx.T, and dWx = x.T @ da.",
         "h_prev and Wh go as x and Wx do. b is added in every row of the batch, so db is the sum of da over the rows."),
        {"x": "B I", "h_prev": "B H", "Wx": "I H", "Wh": "H H", "b": "H"},
        {"b": "b is used by every sequence of the batch: its gradient is a sum over them.",
         "x": "dx begins at da, not at dh: the slope of phi comes first.",
         "h_prev": "dh_prev goes through Wh, as dx goes through Wx. Transposed?",
         "Wx": "dWx[i, j] is the sum over the batch of x[i] * da[j].",
         "Wh": "dWh[i, j] is the sum over the batch of h_prev[i] * da[j]."},
        variants=(SIGMOID,),
    ),
    Exercise(
        "2.2", "gradient", "the leaky network: a state that goes two ways", "sequence_gradient",
        ("h = (1 - K) * h_prev + K * phi(a). The state before is used twice: in the first term, and in a.",
         "dh_prev = dh * (1 - K) + da @ Wh.T, with da = K * dh * phi'(a).",
         "phi'(a) is 1 - n**2 with n = tanh(a), not with h: h is a mixture. So n has to be made again, or kept."),
        RNN,
        {"carry": CARRY + " Two ways lead back from h to h_prev.", "b": SUM, "Wx": SUM, "Wh": "dWh takes h_prev, the state before."},
        variants=((("K = 0.3", "K = 0.6"),),),
    ),
    Exercise(
        "3.1", "repair", "one bug in a backward pass", "sequence_gradient",
        ("Read the report: which gradient is wrong, and is it wrong on one step already?",
         "What is wrong on the first step alone has nothing to do with carrying. What is born at step 1 has.",
         "Compare each line with the one of the forward pass that it undoes."),
        RNN,
        {"carry": "It is right on the first step: look at what only counts from the second step on."},
        variants=((("(1 - h[:, t + 1] ** 2)", "(1 - h[:, t] ** 2)"), ("dWh += h[:, t + 1].T @ da", "dWh += h[:, t].T @ da")),
                  (("db += da.sum(axis=0)", "db = da.sum(axis=0)"), ("dWh += h[:, t + 1].T @ da", "dWh += h[:, t].T @ da"))),
    ),
    Exercise(
        "3.2", "behaviour", "a derivative without calculus, to nine digits", "numeric_derivative",
        ("A forward difference has eight digits at the most. Look at both sides.",
         "A central difference is best at a step of about 1e-5 times the size of w.",
         "Too large a step sees the curve bend, too small a one sees rounding. Nine digits need a step between the two."),
    ),
    Exercise(
        "4.1", "behaviour", "weights that let no gradient vanish", "keeps_norm",
        ("Which matrices turn a vector and keep its length?",
         "The Q of a QR decomposition of random numbers is orthogonal: np.linalg.qr.",
         "q, r = np.linalg.qr(rng.standard_normal((H, H))); q is orthogonal, so q.T keeps the norm as well."),
    ),
    Exercise(
        "4.2", "gradient", "a loss that hears the mean of all states", "sequence_gradient",
        ("The mean uses every state: each gets dy / T.",
         "And each state but the last is used by the next step, too.",
         "dh = dh + dy / T at every step, then da, then dh = da @ Wh.T. A loss that hears all steps needs no long memory for early ones."),
        RNN,
        {"carry": CARRY, "b": SUM, "Wx": SUM, "Wh": "dWh takes h_prev, the state before."},
        variants=(SIGMOID,),
    ),
    Exercise(
        "5.1", "behaviour", "clip by the norm of all gradients together", "clips",
        ("The norm of all together: the root of the sum of the squares of all elements of all arrays.",
         "Multiply each array by the same number, limit / norm, and only if the norm is above the limit.",
         "If all gradients are 0, so is the norm: do not divide by it. min(1, limit / norm) would."),
    ),
    Exercise(
        "5.2", "repair", "an update that clips, but wrongly", "clipped_update",
        ("Clipping must not change the direction. Does it here?",
         "There is one norm, of all arrays together, and one factor for all of them.",
         "The factor is min(1, limit / norm): short gradients stay as they are. And the arrays that came in stay as they were."),
        variants=(
            (("norm = np.sqrt((g**2).sum())", "norm = np.sqrt(sum((a**2).sum() for a in grads.values()))"),
             ("min(1.0, limit / norm)", "limit / norm")),),
    ),
    Exercise(
        "6.1", "gradient", "backpropagation through an LSTM", "sequence_gradient",
        ("Go backwards through the lines of forward. First h = o * tanh(c): it gives do, and a part of dc.",
         "dc is a sum: what step t + 1 hands back, and what comes through h. Then c = f * c_prev + i * g gives di, df, dg and dc_prev.",
         "Each gate has its slope: s * (1 - s) for sigma, 1 - g**2 for tanh. Put dai, daf, dag, dao side by side in the order of GATES."),
        {"x": "B T I", "Wx": "I GH", "Wh": "H GH", "b": "GH"},
        {"Wx[f]": "df = dc * c_prev: the cell before this step.", "Wh[f]": "df = dc * c_prev: the cell before this step.",
         "b[f]": "df = dc * c_prev: the cell before this step.", "Wx[o]": "do = dh * tanh(c), then the slope of sigma.",
         "Wh[o]": "do = dh * tanh(c), then the slope of sigma.", "b[o]": "do = dh * tanh(c), then the slope of sigma.",
         "carry": CARRY + " An LSTM hands back two things, dh and dc.", "b": SUM, "Wh": "dWh takes h_prev, the state before.", "Wx": SUM},
        variants=(
            (("ai, af, ag, ao", "ai, ag, af, ao"), ('"i", "f", "g", "o"', '"i", "g", "f", "o"'),
             ("dai, daf, dag, dao", "dai, dag, daf, dao")),),
    ),
    Exercise(
        "6.2", "behaviour", "an LSTM that counts, with weights by hand", "counter",
        ("The input gate opens on COUNT, the candidate is then 1. The forget gate is open, but shut on RESET.",
         "A gate is open at a sum of +20, shut at -20. tanh(20) is 1.",
         "b = -20 and Wx = 40 open a gate on a pulse. g needs a bias of 20 and no input. Any o will do: the judge looks at c."),
        variants=((("COUNT, RESET = 0, 1", "COUNT, RESET = 1, 0"),),),
    ),
    Exercise(
        "7.1", "gradient", "a gate that mixes the old state with the new", "sequence_gradient",
        ("h = z * h_prev + (1 - z) * n. So dz = dh * (h_prev - n), dn = dh * (1 - z), and h_prev gets dh * z.",
         "h_prev is used twice: in the mixture, and through U in the gate z.",
         "daz = dz * z * (1 - z), dan = dn * (1 - n**2). dh_prev = dh * z + daz @ U.T: the first part is the carousel."),
        {"x": "B T I", "W": "I GH", "U": "H H", "b": "GH"},
        {"carry": CARRY + " Two ways lead back from h to h_prev.",
         "W[z]": "dz = dh * (h_prev - n): more z is more of the old, less of the new.",
         "b[z]": "dz = dh * (h_prev - n): more z is more of the old, less of the new.",
         "W[n]": "dn = dh * (1 - z), then the slope of tanh.",
         "b[n]": "dn = dh * (1 - z), then the slope of tanh.", "U": "dU takes h_prev, the state before, and daz."},
        variants=(
            (("z * h_prev + (1 - z) * n", "(1 - z) * h_prev + z * n"), ("(h_prev - n)", "(n - h_prev)"),
             ("dh * (1 - z) *", "dh * (z) *"), ("dh = dh * z +", "dh = dh * (1 - z) +")),),
    ),
    Exercise(
        "7.2", "cell", "the LSTM of 1997, which could not forget", "cell",
        ("It is the LSTM of lesson 6 with f = 1: c = c_prev + i * g.",
         "In backward dc grows by dh * o * (1 - tanh(c)**2); then dai, dag; and dc_prev is dc itself.",
         "return da, da, (0.0, dc), () with da = (dai, dag, dao). The 0.0 is h_prev's part beside the product, which the package adds."),
    ),
    Exercise(
        "8.1", "cell", "an LSTM that always shows its cell", "cell",
        ("It is the LSTM of lesson 6 with o = 1: h = tanh(c).",
         "In backward dc grows by dh * (1 - tanh(c)**2); then dai, daf, dag, and dc_prev = dc * f.",
         "return da, da, (0.0, dc * f), () with da = (dai, daf, dag). h and c tell the same then: the next step sees all of the cell."),
    ),
    Exercise(
        "8.2", "behaviour", "a unit with a peephole that calls at the right count", "timer",
        ("c counts as in exercise 6.2: i opens on a pulse, f is always open, g is 1.",
         "The output gate gets b[3] + p[2, 0] * c. It has to change sign between CALL - 1 and CALL.",
         "With p[2, 0] = 20 and b[3] = -20 * (CALL - 0.5) the sum is -10 at one less and +10 at CALL."),
        variants=((("CALL = 4", "CALL = 7"),),),
    ),
    Exercise(
        "9.1", "gradient", "a stretch that begins where another one ended", "sequence_gradient",
        ("It is the loop of lesson 2, but the first state is not 0.",
         "dWh of the first step takes h0, and what is left in dh after the first step belongs to h0.",
         "return dx, dh, dWx, dWh, db: dh at the end of the loop is dh0. Truncation throws it away; plain BPTT hands it on."),
        {"x": "B T I", "h0": "B H", "Wx": "I H", "Wh": "H H", "b": "H"},
        {"carry": CARRY, "h0": "What is left in dh when the loop is over?", "b": SUM,
         "Wh": "dWh takes h_prev; in the first step that is h0."},
    ),
    Exercise(
        "9.2", "behaviour", "truncated backpropagation through time", "truncated",
        ("Go through x in stretches of k steps. The state goes on from one to the next.",
         "The gradient of a stretch is the one that backward gives; nothing comes from the stretch behind it.",
         "dWh is the sum over the stretches: h0 = h[:, -1] after each. With k = T it is plain BPTT."),
    ),
    Exercise(
        "10.1", "gradient", "steps that are not there", "sequence_gradient",
        ("Where mask is false, h is h_prev: forward has two cases for each row and step, so backward has two.",
         "At a masked step dh goes to h_prev as it is, and da is 0.",
         "da = np.where(m, dh * (1 - h**2), 0), then dh = da @ Wh.T + np.where(m, 0, dh). A mask is selected by, never multiplied with."),
        {"x": "B T I", "mask": "mask", "Wx": "I H", "Wh": "H H", "b": "H"},
        {"carry": CARRY + " A masked step hands dh on as it is.", "b": SUM, "Wx": "A masked step does not use Wx.",
         "x": "A masked step does not use x.", "Wh": "A masked step does not use Wh. dWh takes h_prev, the state before."},
    ),
    Exercise(
        "10.2", "behaviour", "sequences of different lengths in one array", "pads",
        ("The array is as long as the longest sequence.",
         "Make np.zeros([B, T, I]), and copy each sequence to the beginning of its row.",
         "The lengths tell forward where each one ends; what stands behind the end does not matter then."),
    ),
    Exercise(
        "11.1", "gradient", "a loss that ignores what is behind the end", "loss_gradient",
        ("The gradient of -log softmax(a)[c] by a is softmax(a) minus a 1 at c.",
         "Steps behind the end get 0, and the mean is over the live steps, not over all.",
         "d = (softmax(a) - one_hot) * live / live.sum(), times dy, the derivative by the loss itself."),
        {"a": "B T V", "wanted": "codes", "lengths": "lengths"},
        {"a": "Three things: softmax(a) minus the 1 at the right place, 0 behind the end, divided by the number of live steps."},
    ),
    Exercise(
        "11.2", "behaviour", "write until the end is drawn", "writes",
        ("The first input is go; what was drawn is the next input.",
         "rng.choice(len(p), p=p) draws a character by its probabilities.",
         "Stop when eos is drawn, or when limit characters are written; eos itself does not belong to the text."),
    ),
)  # fmt: skip
EXERCISES = {row.id: row for row in ROWS}
