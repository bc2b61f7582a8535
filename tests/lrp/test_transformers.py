"""Relevance through attention: its weights as constants (CP-LRP), and AttnLRP against LXT."""

import math

import by_lxt
import lxt.explicit.functional as lf
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.engine import attention_weights
from lib.lrp import Composite, Epsilon, Zero, lrp

EVERYWHERE = Composite(dense=Epsilon(1e-8), convolution=Epsilon(1e-8), through_gates=True)


class Block(nn.Module):
    """A layer of a transformer, written three ways."""

    def __init__(self, width=8, heads=2, first=False, written="hand"):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.heads, self.first, self.written = heads, first, written

    def attention(self, x):
        N, T, D = x.shape
        if self.written == "module":
            names = dict(need_weights=False, training=False)
            x, w, b = x.transpose(0, 1), self.qkv.weight, self.qkv.bias
            out = (self.out.weight, self.out.bias)
            parts = (None, None, False, 0.0, *out)
            return F.multi_head_attention_forward(x, x, x, D, self.heads, w, b, *parts, **names)[
                0
            ].transpose(0, 1)
        q, k, v = self.qkv(x).reshape(N, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.written == "fused":
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            mixed = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(N, T, D))

    def feed_forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))

    def forward(self, x):
        if self.first:  # a vision transformer's order
            x = x + self.attention(self.norm1(x))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.attention(x))  # BERT's
        return self.norm2(x + self.feed_forward(x))


class Transformer(nn.Module):
    def __init__(self, first, written="hand"):
        super().__init__()
        self.blocks = nn.ModuleList([Block(first=first, written=written) for _ in range(2)])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def brought(first, written="hand"):
    torch.manual_seed(0)
    model = Transformer(first, written).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return model, torch.randn(3, 5, 8, dtype=torch.float64)


def lxt_relevance(model, x, target):
    """The same network in LXT's functions, whose backward pass hands on relevance."""
    E = 1e-8

    def norm(layer, h):
        return by_lxt.norm(layer, h, E)

    def attention(block, h):
        return by_lxt.attention(block.qkv, block.out, block.heads, h, E)

    def feed_forward(block, h):
        return by_lxt.feed_forward(block.fc1, block.fc2, h, E)

    h = leaf = x.clone().requires_grad_()
    for block in model.blocks:
        if block.first:
            h = lf.add2(h, attention(block, norm(block.norm1, h)))
            h = lf.add2(h, feed_forward(block, norm(block.norm2, h)))
        else:
            h = norm(block.norm1, lf.add2(h, attention(block, h)))
            h = norm(block.norm2, lf.add2(h, feed_forward(block, h)))
    scores = by_lxt.dense(model.head, h[:, 0], E)
    torch.testing.assert_close(scores, model(x))
    start = torch.zeros_like(scores)
    start[:, target] = scores[:, target].detach()
    scores.backward(start)
    return leaf.grad


@pytest.mark.parametrize("first", [False, True], ids=["bert", "vit"])
@pytest.mark.parametrize("written", ["hand", "fused", "module"])
def test_attn_lrp_equals_lxt_however_the_attention_is_written(first, written):
    model, x = brought(first, written)
    expected = lxt_relevance(model, x, 1)
    torch.testing.assert_close(lrp(model, x, 1, EVERYWHERE), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("first", [False, True], ids=["bert", "vit"])
def test_the_account_of_attn_lrp_closes(first):
    model, x = brought(first)
    relevance, account = lrp(model, x, 1, "attn_lrp", return_layers=True)
    total = relevance.flatten(1).sum(1) + sum(line.absorbed for line in account)
    torch.testing.assert_close(total, model(x)[:, 1].detach())
    assert {"softmax", "matmul"} <= {line.operation for line in account}


def test_only_with_gates_do_queries_and_keys_get_relevance():
    model, x = brought(False)
    for gates in (False, True):
        rules = Composite(Zero(), Zero(), None, gates)
        account = lrp(model, x, 1, rules, return_layers=True)[1]
        qkv = next(line.relevance for line in account if line.name == "blocks.1.qkv")
        queries, keys, values = qkv.abs().flatten(0, -2).sum(0).chunk(3)
        assert values.all() and bool(queries.any()) == bool(keys.any()) == gates


def test_softmax_shares_out_by_taylors_expansion():
    """Proposition 3.1: R_i = a_i (R_i - s_i sum_j R_j), here with the identity as values."""

    class Weights(nn.Module):
        def forward(self, x):
            return x.softmax(1)

    x = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    s = x.softmax(1)
    R = torch.tensor([[0.0, 0.0, s[0, 2]]], dtype=torch.float64)
    torch.testing.assert_close(lrp(Weights(), x, 2, "attn_lrp"), x * (R - s * R.sum()))


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": 1}])
def test_attention_weights_are_those_of_torch(options):
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 4, 6, dtype=torch.float64)
    if "attn_mask" in options:
        for mask in (torch.rand(4, 4) > 0.3, torch.randn(4, 4, dtype=torch.float64)):
            expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            torch.testing.assert_close(attention_weights(q, k, mask) @ v, expected)
        return
    expected = F.scaled_dot_product_attention(q, k, v, **options)
    torch.testing.assert_close(attention_weights(q, k, **options) @ v, expected)
