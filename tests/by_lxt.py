"""AttnLRP's layers in the functions of LXT, its authors' library, whose backward pass hands on
relevance: for tests and for the benchmark.
"""

import math

import lxt.explicit.functional as lxt
import torch
import torch.nn.functional as F


class Unchanged(torch.autograd.Function):
    """f(x); relevance passes it as it is."""

    @staticmethod
    def forward(context, x, f):
        return f(x)

    @staticmethod
    def backward(context, relevance):
        return relevance, None


def dense(layer, x, eps=1e-6):
    return lxt.linear_epsilon(x, layer.weight, layer.bias, eps)


def norm(layer, x, eps=1e-6):
    return lxt.layer_norm_grad_fn.apply(x, layer.weight, layer.bias, layer.eps, eps)


def attention(qkv, output, heads, x, eps=1e-6):
    """qkv, output: dense layers that make (query, key, value) of x (N, T, D), and the result."""
    N, T, width = x.shape
    query, key, value = dense(qkv, x, eps).reshape(N, T, 3, heads, -1).permute(2, 0, 3, 1, 4)
    size = math.sqrt(query.shape[-1])
    scores = Unchanged.apply(lxt.matmul(query, key.transpose(-2, -1)), lambda s: s / size)
    mixed = lxt.matmul(lxt.softmax(scores, -1), value)
    return dense(output, mixed.transpose(1, 2).reshape(N, T, width), eps)


def feed_forward(first, second, x, eps=1e-6):
    """Two dense layers with GELU between them."""
    return dense(second, Unchanged.apply(dense(first, x, eps), F.gelu), eps)
