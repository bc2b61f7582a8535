"""Relevance through recurrent cells, attention, normalisation, gates, embeddings and text networks.

The reference is independent: the same network written by hand, in which gates, attention weights
    and standard deviations
are constants (detached) and each activation is its input times a constant; there LRP-0 is gradient
× input.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.lrp import Epsilon, Gamma, Zero, ZPlus, lrp

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def as_factor(f, z):
    """f(z) written as z times a constant: relevance passes an activation unchanged."""
    return z * (f(z) / z).detach()


def gradient_x_input(f, x, target):
    leaf = x.clone().requires_grad_()
    return x * torch.autograd.grad(f(leaf)[:, target].sum(), leaf)[0]


ZERO = Zero()


def account_closes(model, x, target=0, rules=ZERO):
    R, layers = lrp(model, x, target, rules, return_layers=True)
    total = R.flatten(1).sum(1) + sum(layer.absorbed for layer in layers)
    torch.testing.assert_close(total, model(x)[:, target].detach())
    return R


class Recurrent(nn.Module):
    def __init__(self, kind, bias=True, every_step=False, **options):
        super().__init__()
        self.cell = getattr(nn, kind)(3, 4, bias=bias, **options)
        self.head = nn.Linear(4 * (1 + self.cell.bidirectional), 2, bias=False)
        self.every_step = every_step
        self.double().eval()

    def forward(self, x):
        out = self.cell(x if self.cell.batch_first else x.transpose(0, 1))[0]
        out = out if self.cell.batch_first else out.transpose(0, 1)
        return self.head(out.sum(1) if self.every_step else out[:, -1])


def by_hand(model, x):
    """The last (or summed) output of a one-layer, one-direction recurrent network, with constant
    gates.
    """
    w, u = model.cell.weight_ih_l0, model.cell.weight_hh_l0
    b, d = (
        (model.cell.bias_ih_l0, model.cell.bias_hh_l0)
        if model.cell.bias
        else (0, torch.zeros(len(w), dtype=x.dtype))
    )
    h = c = torch.zeros(len(x), 4, dtype=x.dtype)
    total = 0
    for x_t in x.unbind(1):
        if isinstance(model.cell, nn.LSTM):
            i, f, g, o = (x_t @ w.T + b + h @ u.T + d).chunk(4, 1)
            c = f.sigmoid().detach() * c + i.sigmoid().detach() * as_factor(torch.tanh, g)
            h = o.sigmoid().detach() * as_factor(torch.tanh, c)
        elif isinstance(model.cell, nn.GRU):
            (r, z, n), (r_h, z_h, n_h) = (x_t @ w.T + b).chunk(3, 1), (h @ u.T + d).chunk(3, 1)
            r, z = (r + r_h).sigmoid().detach(), (z + z_h).sigmoid().detach()
            h = (1 - z) * as_factor(torch.tanh, n + r * n_h) + z * h
        else:
            h = as_factor(torch.tanh, x_t @ w.T + b + h @ u.T + d)
        total = total + h
    return model.head(total if model.every_step else h)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("every_step", [False, True])
def test_recurrent_layers_equal_gradient_x_input_with_constant_gates(kind, bias, every_step):
    model, x = Recurrent(kind, bias, every_step, batch_first=True), random(5, 6, 3)
    torch.testing.assert_close(by_hand(model, x), model(x))
    torch.testing.assert_close(
        lrp(model, x, 1, Zero()), gradient_x_input(lambda x: by_hand(model, x), x, 1)
    )


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_first": True}, {"bidirectional": True, "num_layers": 2, "batch_first": True}],
)
def test_recurrent_accounts_close_and_without_biases_all_arrives(kind, options):
    x = random(3, 5, 3)
    account_closes(Recurrent(kind, **options), x)
    model = Recurrent(kind, bias=False, **options)
    torch.testing.assert_close(account_closes(model, x).flatten(1).sum(1), model(x)[:, 0].detach())


@pytest.mark.parametrize("rules", [Zero(), Epsilon(0.1), Gamma(0.25), ZPlus()])
def test_a_row_of_a_batch_through_an_lstm(rules):
    model, x = Recurrent("LSTM", batch_first=True, bidirectional=True), random(4, 5, 3)
    torch.testing.assert_close(lrp(model, x, 0, rules)[1:2], lrp(model, x[1:2], 0, rules))


def fill(k, *shape):
    count = torch.Size(shape).numel()
    return (((7 * torch.arange(count) + 3 * k) % 11 - 5).double() / 6).reshape(shape)


def test_the_lstm_of_arras_to_its_last_digit():
    """Relevance of four words by the authors' own code (Arras et al., 2017), with weights that
    anyone can rebuild.
    """
    d, e = 2, 3

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(5, e)
            self.lstm = nn.LSTM(e, d, batch_first=True, bidirectional=True)
            self.head = nn.Linear(2 * d, 2, bias=False)

        def forward(self, words):
            _, (h, _) = self.lstm(self.words(words))
            return self.head(torch.cat([h[0], h[1]], 1))

    model = Both().double()
    # theirs is i, g, f, o
    order = torch.tensor([0, 2, 1, 3]).repeat_interleave(d) * d + torch.arange(d).repeat(4)
    model.words.weight.data = fill(1, 5, e)
    for side, k in (("l0", 0), ("l0_reverse", 1)):
        for name, at, shape in (
            ("weight_ih", 2, (4 * d, e)),
            ("bias_ih", 4, (4 * d,)),
            ("weight_hh", 6, (4 * d, d)),
            ("bias_hh", 8, (4 * d,)),
        ):
            getattr(model.lstm, f"{name}_{side}").data = fill(at + k, *shape)[order]
    model.head.weight.data = torch.cat([fill(10, 2, d), fill(11, 2, d)], 1)
    words = torch.tensor([[0, 3, 1, 4]])
    torch.testing.assert_close(model(words)[0, 0].item(), -0.1344578258, atol=1e-9, rtol=0)
    expected = torch.tensor([[0.0229442645, 0.0229896044, -0.0095644775, -0.0054899937]]).double()
    torch.testing.assert_close(lrp(model, words, 0, Epsilon(0.001)), expected, atol=1e-9, rtol=0)


class Transformer(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True, **options)
        self.head = nn.Linear(6, 3, bias=False)
        self.double().eval()
        with torch.no_grad():  # a fresh layer has trivial norms and biases
            for p in self.parameters():
                p += 0.3 * random(*p.shape)

    def forward(self, x):
        return self.head(self.layer(x).mean(1))


def transformer_by_hand(model, x):
    layer, attention = model.layer, model.layer.self_attn

    def norm(x, n):
        centred = x - x.mean(-1, keepdim=True)
        return (
            centred / (centred.square().mean(-1, keepdim=True) + n.eps).sqrt().detach() * n.weight
            + n.bias
        )

    def attend(x):
        q, k, v = (
            F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
            .unflatten(-1, (3, 2, 3))
            .permute(2, 0, 3, 1, 4)
        )
        a = (q @ k.transpose(-1, -2) / 3**0.5).softmax(-1).detach()
        return attention.out_proj((a @ v).transpose(1, 2).flatten(2))

    def feed(x):
        return layer.linear2(layer.linear1(x).relu())

    if layer.norm_first:
        x = x + attend(norm(x, layer.norm1))
        return model.head((x + feed(norm(x, layer.norm2))).mean(1))
    x = norm(x + attend(x), layer.norm1)
    return model.head(norm(x + feed(x), layer.norm2).mean(1))


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_equals_gradient_x_input_with_constant_attention_and_norm(norm_first):
    model, x = Transformer(norm_first=norm_first), random(3, 5, 6)
    torch.testing.assert_close(transformer_by_hand(model, x), model(x))
    torch.testing.assert_close(
        lrp(model, x, 2, Zero()), gradient_x_input(lambda x: transformer_by_hand(model, x), x, 2)
    )
    account_closes(model, x)


@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_in_every_form(need_weights):
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True, bias=False)

        def forward(self, x):
            return self.attention(x, x, x, need_weights=need_weights)[0].mean(1)

    class Plain(nn.Module):
        def __init__(self, attention):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            q, k, v = (
                (x @ self.attention.in_proj_weight.T)
                .unflatten(-1, (3, 2, 3))
                .permute(2, 0, 3, 1, 4)
            )
            scores = torch.einsum("nhid,nhjd->nhij", q, k) / 3**0.5
            return F.linear(
                (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2),
                self.attention.out_proj.weight,
            ).mean(1)

    model, x = Attending().double().eval(), random(3, 5, 6)
    R = lrp(model, x, 1, Zero())
    torch.testing.assert_close(R, lrp(Plain(model.attention), x, 1, Zero()))
    # values are all that carries: nothing is kept
    torch.testing.assert_close(R.flatten(1).sum(1), model(x)[:, 1].detach())


@pytest.mark.parametrize(
    ("layer", "linearised"),
    [
        (
            nn.LayerNorm(4),
            lambda x: (
                (x - x.mean(-1, keepdim=True))
                / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt().detach()
            ),
        ),
        (
            nn.RMSNorm(4, eps=1e-5),
            lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt().detach(),
        ),
        (
            nn.GroupNorm(1, 4),
            lambda x: (
                (x - x.mean(-1, keepdim=True))
                / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt().detach()
            ),
        ),
        (F.normalize, lambda x: x / x.norm(dim=1, keepdim=True).detach()),
        (
            lambda x: x / x.norm(dim=1, keepdim=True),
            lambda x: x / x.norm(dim=1, keepdim=True).detach(),
        ),
        (
            lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True)),
            lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True)).detach(),
        ),
        (F.glu, lambda x: x[:, :2] * x[:, 2:].sigmoid().detach()),
        (lambda x: x * torch.sigmoid(2 * x), lambda x: x * torch.sigmoid(2 * x).detach()),
        (
            lambda x: torch.einsum("ni,ij->nj", x, torch.ones(4, 3).double()),
            lambda x: x.sum(1, keepdim=True).expand(-1, 3),
        ),
    ],
    ids=["layer", "rms", "group", "normalize", "by its norm", "rsqrt", "glu", "gate", "einsum"],
)
def test_normalisation_and_gates_by_hand(layer, linearised):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = layer

        def forward(self, x):
            return self.part(x)

    model, x = Model().double(), random(5, 4)
    torch.testing.assert_close(model(x), linearised(x))
    torch.testing.assert_close(lrp(model, x, 1, Zero()), gradient_x_input(linearised, x, 1))


def test_instance_norm_with_weights():
    model, x = (
        nn.Sequential(nn.InstanceNorm2d(2, affine=True), nn.Flatten(), nn.Linear(24, 3)).double(),
        random(2, 2, 3, 4),
    )
    model[0].weight.data, model[0].bias.data = random(2), random(2)
    account_closes(model, x)


def test_local_response_normalisation_shares_by_its_taylor_terms():
    norm, x = nn.LocalResponseNorm(3, alpha=0.5, beta=0.75, k=1.0), random(2, 4, 3, 3).abs()
    model = nn.Sequential(norm, nn.Flatten())
    for target in (0, 17):
        jacobian = torch.autograd.functional.jacobian(lambda v: model(v[None])[0, target], x[0])
        expected = x[0] * jacobian / (x[0] * jacobian).sum() * model(x)[0, target]
        torch.testing.assert_close(lrp(model, x, target, Zero())[0], expected)
    torch.testing.assert_close(lrp(model, x, 5).flatten(1).sum(1), model(x)[:, 5])  # conserved


class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.convolution = nn.Conv1d(6, 8, 2)
        self.head = nn.Linear(8, 3)
        self.double().eval()

    def forward(self, words):
        a = F.relu(self.convolution(self.words(words).transpose(1, 2)))
        return self.head(a.max(2).values)


def test_a_text_network_explains_words():
    model, words = TextCNN(), torch.randint(20, (4, 7), generator=GENERATOR)
    R = account_closes(model, words)
    assert R.shape == words.shape and R.dtype == torch.float64
    vectors = model.words(words).detach()
    leaf = vectors.clone().requires_grad_()
    a = F.relu(model.convolution(leaf.transpose(1, 2)))
    torch.autograd.backward(model.head(a.max(2).values)[:, 0].sum())
    torch.testing.assert_close(R, (vectors * leaf.grad).sum(-1))


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_a_bag_of_words_gives_its_exact_contributions(mode):
    model = nn.Sequential(nn.EmbeddingBag(20, 3, mode=mode)).double()
    words = torch.tensor([[1, 2, 2, 7], [0, 5, 1, 1]])
    expected = model[0].weight[words][..., 2] / (4 if mode == "mean" else 1)
    torch.testing.assert_close(lrp(model, words, 2), expected.detach())


def test_word_numbers_are_refused_by_a_network_that_reads_numbers():
    with pytest.raises(TypeError, match="x: expected a floating-point tensor"):
        lrp(nn.Linear(3, 2), torch.ones(2, 3, dtype=torch.long))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 1, bias=False), nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.heads = nn.ModuleList([nn.Linear(9, 3, bias=False), nn.Linear(9, 3, bias=False)])

    def forward(self, x):
        branches = [F.relu(self.a(x)), F.relu(self.b(x)), F.avg_pool2d(x, 3, 1, 1)]
        pooled = torch.cat(branches, 1).mean((2, 3))
        return sum(head(pooled) for head in self.heads)  # a score that is a sum of several heads


@pytest.mark.parametrize("rules", [Zero(), ZPlus(), Gamma(0.25)])
def test_concatenated_branches_and_several_heads_conserve(rules):
    model, x = Inception().double(), random(3, 2, 5, 4).abs()
    torch.testing.assert_close(lrp(model, x, 1, rules).flatten(1).sum(1), model(x)[:, 1].detach())
    torch.testing.assert_close(lrp(model, x, 1, Zero()), gradient_x_input(model, x, 1))


def test_an_operation_without_a_rule_is_refused_only_if_relevance_reaches_it():
    class Gated(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x.cumprod(1))

    class Squared(nn.Module):
        def forward(self, x):
            return x + x.cumprod(1)

    assert torch.equal(
        lrp(Gated(), x := random(2, 3), 0) != 0, torch.tensor([[True, False, False]]).expand(2, 3)
    )
    with pytest.raises(ValueError, match="'cumprod' has no relevance rule"):
        lrp(Squared(), x)


@pytest.mark.parametrize("kind", ["projection", "state"])
def test_recurrent_calls_without_a_rule_are_named(kind):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTM(3, 4, batch_first=True, proj_size=2 if kind == "projection" else 0)

        def forward(self, x):
            state = (x.sum(1)[None, :, :1].expand(1, 2, 4),) * 2 if kind == "state" else None
            return self.cell(x, state)[1][0][0]

    with pytest.raises(ValueError, match="^model: the operation "):
        lrp(Model(), torch.rand(2, 2, 3))


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("rule", [Zero(), Epsilon(0.01), Gamma(0.25), ZPlus()], ids=str)
def test_a_packed_sequence_gives_each_sample_what_it_gets_alone_without_its_padding(
    kind, both, rule
):
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = getattr(nn, kind)(3, 4, 2, batch_first=True, bidirectional=both)
            self.head = nn.Linear(8 * (1 + both), 2)

        def forward(self, x, pack=True):
            lengths = (x != 0).any(-1).sum(1)
            if pack:
                x = nn.utils.rnn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
            states, last = self.layer(x)
            if pack:
                states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
            last = last[0] if kind == "LSTM" else last
            last = last[-1 - both :].transpose(0, 1).flatten(1)
            return self.head(torch.cat([states.sum(1), last], 1))

    class Padded(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x, pack=False)

    torch.manual_seed(0)
    model, x, lengths = Packed().double(), torch.rand(4, 6, 3, dtype=torch.float64), (4, 6, 2, 4)
    for k, length in enumerate(lengths):
        x[k, length:] = 0
    relevance = lrp(model, x, 1, rule)
    for k, length in enumerate(lengths):
        alone = lrp(Padded(model), x[[k], :length], 1, rule)
        torch.testing.assert_close(relevance[[k], :length], alone)
        assert not relevance[k, length:].any()
