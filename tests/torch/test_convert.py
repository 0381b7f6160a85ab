"""from_torch and to_torch: models of three published shapes train to the same numbers with ours swapped in, and come back."""

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch.nn.functional import cross_entropy  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from rnn_from_scratch import torch as ours  # noqa: E402

from .helpers import assert_same, pair, random  # noqa: E402

B, T, WORDS, H = 5, 11, 13, 17


class Characters(torch.nn.Module):
    """A character model with truncated backpropagation: hx is carried from piece to piece, and detached."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = torch.nn.Embedding(WORDS, 7), torch.nn.LSTM(7, H, num_layers=2)
        self.out, self.hx = torch.nn.Linear(H, WORDS), None

    def loss(self, tokens):
        y, hx = self.lstm(self.embedding(tokens[:-1]), self.hx)
        self.hx = tuple(s.detach() for s in hx)
        return cross_entropy(self.out(y).view(-1, WORDS), tokens[1:].reshape(-1))


class Tagger(torch.nn.Module):
    """A bidirectional tagger of packed sentences."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = torch.nn.Embedding(WORDS, 7), torch.nn.Linear(2 * H, 3)
        self.gru = torch.nn.GRU(7, H, bidirectional=True, batch_first=True)

    def loss(self, tokens):
        lengths = torch.tensor([3, 11, 1, 7, 5])
        packed = pack_padded_sequence(self.embedding(tokens.t()), lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        live = torch.arange(y.shape[1]) < lengths[:, None]
        return cross_entropy(self.out(y)[live], (tokens.t()[:, : y.shape[1]] % 3)[live])


class Translator(torch.nn.Module):
    """An encoder and a decoder of single steps with dot-product attention."""

    def __init__(self):
        super().__init__()
        self.embedding, self.encoder, self.step = torch.nn.Embedding(WORDS, 7), torch.nn.RNN(7, H), torch.nn.LSTMCell(7 + H, H)
        self.out = torch.nn.Linear(H, WORDS)

    def loss(self, tokens):
        keys, h = self.encoder(self.embedding(tokens))
        h, c, total = h[0], torch.zeros_like(h[0]), 0.0
        for t in range(len(tokens) - 1):
            context = ((keys * h).sum(-1).softmax(0)[..., None] * keys).sum(0)
            h, c = self.step(torch.cat([self.embedding(tokens[t]), context], -1), (h, c))
            total = total + cross_entropy(self.out(h), tokens[t + 1])
        return total


@pytest.mark.parametrize(("kind", "swapped"), [(Characters, ["lstm"]), (Tagger, ["gru"]), (Translator, ["encoder", "step"])])
def test_a_model_trains_to_the_same_losses(kind, swapped):
    """The swap comes in the middle: the optimizer's state goes on with the same parameters."""

    def losses(swap):
        torch.manual_seed(0)
        model, tokens = kind().double(), torch.randint(WORDS, (T, B))
        optimizer, found = torch.optim.Adam(model.parameters(), lr=0.01), []
        for step in range(8):
            if swap and step == 3:
                assert ours.from_torch(model) == (model, swapped, {})
            optimizer.zero_grad()
            loss = model.loss(tokens)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            found.append(loss.item())
        return found, model

    expected, _ = losses(False)
    found, model = losses(True)
    assert expected[0] > 1.05 * expected[-1]  # it learns
    assert found == pytest.approx(expected, rel=1e-9)
    assert all(type(model.get_submodule(name)).__module__.startswith("rnn_from_scratch") for name in swapped)
    back = ours.to_torch(model)
    assert type(back.get_submodule(swapped[0])).__module__ == "torch.nn.modules.rnn"
    tokens = torch.randint(WORDS, (T, B))
    assert back.loss(tokens).item() == pytest.approx(model.loss(tokens).item(), rel=1e-9)


def test_what_stays_is_named():
    class Own(torch.nn.GRU):
        pass

    model = torch.nn.ModuleDict({"own": Own(3, 5), "projected": torch.nn.LSTM(3, 5, proj_size=2), "hooked": torch.nn.RNN(3, 5)})
    model["hooked"].register_forward_hook(lambda *_: None)
    _, names, left = ours.from_torch(model)
    assert names == [] and {name: why.split()[0] for name, why in left.items()} == {
        "own": "Own",
        "projected": "proj_size=2",
        "hooked": "it",
    }


def test_a_module_with_two_names_stays_one():
    lstm = torch.nn.LSTM(3, 5)
    model = torch.nn.ModuleDict({"encoder": lstm, "decoder": lstm})
    assert ours.from_torch(model).names == ["encoder", "decoder"]
    assert model["encoder"] is model["decoder"] and isinstance(model["encoder"], ours.LSTM)
    back = ours.to_torch(model)
    assert back["encoder"] is back["decoder"] and type(back["encoder"]) is torch.nn.LSTM


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"])
def test_a_module_there_and_back(name):
    options = {} if "Cell" in name else {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.2}
    theirs = pair(name, 3, 5, **options)[0].eval()
    model, names, left = ours.from_torch(theirs, backend="reference")
    assert (names, left, model.backend, model.training) == ([""], {}, "reference", False)
    assert all(a is b for a, b in zip(model.parameters(), theirs.parameters()))
    back, x = ours.to_torch(model), random(2, 3) if "Cell" in name else random(2, 7, 3)
    first = [m(x)[0] if isinstance(m(x), tuple) else m(x) for m in (theirs, model, back)]
    assert torch.equal(first[0], first[2])
    assert_same([first[1].detach()], [first[0].detach()])
    assert all(a is not b for a, b in zip(back.parameters(), theirs.parameters()))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (lambda: ours.PeepholeLSTM(3, 5), "torch.nn has no PeepholeLSTM"),
        (lambda: ours.CoupledLSTM(3, 5), "torch.nn has no CoupledLSTM"),
        (lambda: ours.GRU(3, 5, reset_after=False), "torch.nn has no GRU reset before"),
        (lambda: ours.LSTM(3, 5, activation="relu"), "activation: torch.nn LSTM has tanh, got 'relu'"),
        (lambda: ours.GRU(3, 5, activation="relu"), "activation: torch.nn GRU has tanh, got 'relu'"),
        (lambda: ours.LSTM(3, 5, recurrent_activation="hard_sigmoid"), "recurrent_activation: torch.nn LSTM has sigmoid, got 'hard_"),
        (lambda: ours.LSTM(3, 5, recurrent_dropout=0.1), "torch.nn has no recurrent_dropout, got 0.1"),
    ],
)
def test_to_torch_refuses_what_torch_has_not(module, why):
    with pytest.raises(ValueError, match=f"rnn: .*{why}"):
        ours.to_torch(torch.nn.ModuleDict({"rnn": module()}))
