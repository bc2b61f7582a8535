"""The traced forward pass: every operation, in each form in which people write it, against the
definition of its family.
"""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Net
from torch import nn

from lib import engine, models
from lib.engine import operations
from lib.lrp import Epsilon, Zero, ZPlus, lrp, simple_taylor
from lib.sensitivity import gradient_x_input

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")
X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
IMAGES = torch.randn(2, 2, 4, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Between(nn.Module):
    """A dense layer or convolution, the operation under test, and a dense layer on whatever comes
    out of it.
    """

    def __init__(self, operation, x, bias=True):
        super().__init__()
        with models.seeded(0):
            self.first = (
                nn.Linear(x.shape[-1], 6, bias=bias)
                if x.dim() == 2
                else nn.Conv2d(x.shape[1], 4, 3, padding=1, bias=bias)
            ).double()
            self.operation = operation
            with torch.no_grad():
                size = self.between(x).reshape(len(x), -1).shape[1]
            self.last = nn.Linear(size, 3, bias=bias).double()

    def between(self, x):
        return self.operation(self.first(x))

    def forward(self, x):
        return self.last(self.between(x).reshape(len(x), -1))


ZERO = Zero()


def check_account(model, x, rules=ZERO):
    relevance, layers = lrp(model, x, 1, rules, return_layers=True)
    with torch.no_grad():
        score = model(x)[:, 1]
    assert torch.allclose(layers[-1].relevance[:, 1], score), (
        "the traced model computes other scores"
    )
    total = relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers)
    assert torch.allclose(total, score, rtol=1e-9, atol=1e-10)
    return relevance


# Route and share: relevance is a_i dz_j/da_i R_j / z_j; so under LRP-0 the whole is gradient ×
# input, torch's own way back.

C = torch.linspace(-1, 1, 6, dtype=torch.float64)
LINEAR_FORMS = {
    "add_self": lambda h: h + h,
    "add_function": lambda h: torch.add(h, h, alpha=2),
    "add_constant": lambda h: h + 1,
    "add_constant_left": lambda h: 1 + h,
    "add_tensor": lambda h: h + C,
    "iadd": lambda h: inplace(h, lambda y: y.__iadd__(h * 2)),
    "add_": lambda h: h.clone().add_(h),
    "sub": lambda h: h - 0.5 * h.flip(1),
    "rsub": lambda h: 1 - h,
    "isub": lambda h: inplace(h, lambda y: y.__isub__(C)),
    "torch.sub": lambda h: torch.sub(h, C),
    "mul": lambda h: h * 2,
    "mul_left": lambda h: C * h,
    "torch.mul": lambda h: torch.mul(h, C),
    "imul": lambda h: inplace(h, lambda y: y.__imul__(3)),
    "mul_": lambda h: h.clone().mul_(C),
    "div": lambda h: h / 3,
    "torch.div": lambda h: torch.div(h, 3),
    "idiv": lambda h: inplace(h, lambda y: y.__itruediv__(2)),
    "mask": lambda h: h * (h > 0),
    "mask_float": lambda h: (h > 0).double() * h,
    "where": lambda h: torch.where(h > 0, h, 0.0),
    "where_constant": lambda h: torch.where(h > 0, h, C),
    "masked_fill": lambda h: h.masked_fill(h < 0, 0),
    "masked_fill_": lambda h: h.clone().masked_fill_(h < 0, -1),
    "neg": lambda h: -h,
    "neg_method": lambda h: h.neg(),
    "cat": lambda h: torch.cat([h, h * 2], 1),
    "cat_twice": lambda h: torch.cat([h, h], dim=-1),
    "cat_constant": lambda h: torch.cat([h, torch.ones(len(h), 2).double()], 1),
    "concat": lambda h: torch.concat((h, -h), 1),
    "stack": lambda h: torch.stack([h, h, h], 1),
    "stack_dim": lambda h: torch.stack((h, 2 * h), dim=2),
    "hstack": lambda h: torch.hstack([h, h]),
    "split": lambda h: torch.cat(h.split(2, 1)[:2], 1),
    "split_sizes": lambda h: torch.split(h, [1, 5], 1)[1],
    "chunk": lambda h: sum(h.chunk(3, 1)),
    "unbind": lambda h: h.unbind(1)[2][:, None],
    "tensor_split": lambda h: h.tensor_split(2, 1)[0],
    "iteration": lambda h: torch.stack([row * 2 for row in h]),
    "unpack": lambda h: torch.stack([*h.unbind(1)], 1),
    "slice": lambda h: h[:, 1:],
    "index": lambda h: h[:, 2],
    "ellipsis": lambda h: h[..., ::2],
    "none": lambda h: h[:, None],
    "mask_index": lambda h: h[:, C > 0],
    "list_index": lambda h: h[:, [0, 0, 3]],
    "index_select": lambda h: h.index_select(1, torch.tensor([1, 1, 4])),
    "gather": lambda h: h.gather(1, torch.tensor([[0, 2]]).expand(len(h), 2)),
    "narrow": lambda h: h.narrow(1, 1, 3),
    "select": lambda h: h.select(1, 0),
    "view": lambda h: h.view(len(h), 2, 3),
    "reshape": lambda h: torch.reshape(h, (-1, 3, 2)),
    "view_as": lambda h: h.view_as(torch.zeros(len(h), 3, 2)),
    "flatten": lambda h: h.view(-1, 2, 3).flatten(1),
    "unflatten": lambda h: h.unflatten(1, (2, 3)),
    "squeeze": lambda h: h.unsqueeze(1).squeeze(1),
    "permute": lambda h: h.view(-1, 2, 3).permute(0, 2, 1),
    "transpose": lambda h: torch.transpose(h.view(-1, 2, 3), 1, 2),
    "mT": lambda h: h.view(-1, 2, 3).mT,
    "movedim": lambda h: h.view(-1, 2, 3).movedim(1, 2),
    "swapaxes": lambda h: h.view(-1, 2, 3).swapaxes(1, 2),
    "flip": lambda h: h.flip(1),
    "roll": lambda h: h.roll(2, 1),
    "expand": lambda h: h[:, None].expand(-1, 3, -1),
    "expand_as": lambda h: h[:, None].expand_as(torch.zeros(len(h), 2, 6)),
    "broadcast_to": lambda h: torch.broadcast_to(h[:, None], (len(h), 2, 6)),
    "repeat": lambda h: h.repeat(1, 2),
    "tile": lambda h: h.tile(2),
    "repeat_interleave": lambda h: h.repeat_interleave(2, 1),
    "pad": lambda h: F.pad(h, (1, 2)),
    "pad_value": lambda h: F.pad(h, (1, 2), value=-3.0),
    "sum": lambda h: h.sum(1),
    "sum_keepdim": lambda h: torch.sum(h, dim=-1, keepdim=True),
    "mean": lambda h: h.mean(1),
    "mean_negative": lambda h: h.view(-1, 2, 3).mean((-1, -2)),
    "cumsum": lambda h: h.cumsum(1),
    "max": lambda h: h.max(1).values,
    "max_tuple": lambda h: h.max(1)[0],
    "max_unpacked": lambda h: unpacked(torch.max(h, dim=1)),
    "min": lambda h: torch.min(h, 1)[0],
    "amax": lambda h: h.amax(1),
    "amin": lambda h: torch.amin(h, dim=1),
    "maximum": lambda h: torch.maximum(h, h.flip(1)),
    "maximum_constant": lambda h: torch.maximum(h, C),
    "max_two": lambda h: torch.max(h, h.flip(1)),
    "minimum": lambda h: torch.minimum(h, C),
    "sort": lambda h: h.sort(1)[0],
    "topk": lambda h: h.topk(2, 1).values,
    "relu": lambda h: F.relu(h),
    "relu_method": lambda h: h.relu(),
    "relu_torch": lambda h: torch.relu(h),
    "relu_module": lambda h: nn.ReLU()(h),
    "relu_inplace": lambda h: nn.ReLU(inplace=True)(h * 1),
    "relu_functional_inplace": lambda h: F.relu(h * 1, True),
    "relu_keyword": lambda h: F.relu(input=h * 1, inplace=True),
    "relu_": lambda h: (h * 1).relu_(),
    "torch.relu_": lambda h: torch.relu_(h * 1),
    "relu_clamp": lambda h: h.clamp(min=0),
    "clone": lambda h: h.clone(),
    "contiguous": lambda h: h.view(-1, 2, 3).mT.contiguous(),
    "dropout": lambda h: F.dropout(h, 0.5, False),
    "dropout_module": lambda h: nn.Dropout().eval()(h),
    "identity": nn.Identity(),
    "to": lambda h: h.to(torch.float64),
    "double": lambda h: h.double(),
    "to_constant": lambda h: h + torch.ones(6).to(h),
    "type_as_constant": lambda h: h + torch.ones(6).type_as(h),
    "expand_as_constant": lambda h: h + torch.ones(1, 6).expand_as(h),
    "zeros_like": lambda h: h + torch.zeros_like(h) + torch.ones_like(h),
    "new_zeros": lambda h: torch.cat([h, h.new_zeros(len(h), 2)], 1),
    "argmax_gather": lambda h: h.gather(1, h.argmax(1, keepdim=True)),
    "shape": lambda h: h / h.shape[1] + len(h) + h.size(0) + h.dim(),
    "branch": lambda h: h * 2 if h.shape[0] > 100 else h * 3,
    "accumulate": lambda h: accumulated(h),
}
IMAGE_FORMS = {
    "max_pool": lambda h: F.max_pool2d(h, 2),
    "max_pool_module": nn.MaxPool2d(3, 1, 1),
    "max_pool_torch": lambda h: torch.max_pool2d(h, 2),
    "max_pool_indices": lambda h: F.max_pool2d(h, 2, return_indices=True)[0],
    "max_pool_indices_module": lambda h: nn.MaxPool2d(2, return_indices=True)(h)[0],
    "max_pool_1d": lambda h: F.max_pool1d(h.flatten(2), 2),
    "max_pool_3d": lambda h: F.max_pool3d(h[:, None], 2),
    "adaptive_max": nn.AdaptiveMaxPool2d(2),
    "adaptive_max_indices": lambda h: F.adaptive_max_pool2d(h, 2, return_indices=True)[0],
    "avg_pool": lambda h: F.avg_pool2d(h, 2),
    "avg_pool_padded": nn.AvgPool2d(3, 2, 1),
    "avg_pool_1d": lambda h: F.avg_pool1d(h.flatten(2), 3),
    "avg_pool_3d": lambda h: F.avg_pool3d(h[:, None], 2),
    "adaptive_avg": nn.AdaptiveAvgPool2d(1),
    "adaptive_avg_function": lambda h: F.adaptive_avg_pool2d(h, (2, 3)),
    "nearest": lambda h: F.interpolate(h, scale_factor=2),
    "bilinear": lambda h: F.interpolate(h, size=(5, 7), mode="bilinear", align_corners=False),
    "upsample": nn.Upsample(scale_factor=2),
    "pad_reflect": lambda h: F.pad(h, (1, 1, 1, 1), mode="reflect"),
    "zero_pad": nn.ZeroPad2d(1),
    "pixel_shuffle": nn.PixelShuffle(2),
    "pixel_unshuffle": lambda h: F.pixel_unshuffle(h, 2),
    "channel_shuffle": nn.ChannelShuffle(2),
    "unfold": lambda h: F.unfold(h, 2),
    "fold": lambda h: F.fold(F.unfold(h, 2), (4, 6), 2),
    "mean": lambda h: h.mean((2, 3)),
    "mean_method": lambda h: h.mean(dim=[-2, -1], keepdim=True),
    "amax": lambda h: h.amax((2, 3)),
    "dropout2d": nn.Dropout2d().eval(),
    "permute": lambda h: h.permute(0, 2, 3, 1),
    "flatten_module": nn.Flatten(2),
    "channels": lambda h: h[:, :2] + h[:, 2:],
    "rotate": lambda h: h.transpose(2, 3).flip(2),
}


def inplace(h, write):
    y = h * 1
    write(y)
    return y


def unpacked(pair):
    values, positions = pair
    assert not positions.is_floating_point()
    return values


def accumulated(h):
    total = torch.zeros(len(h), 3, dtype=h.dtype)
    for part in h.split(3, 1):
        total += part
    return total


@pytest.mark.parametrize(
    ("operation", "x"),
    [*((f, X) for f in LINEAR_FORMS.values()), *((f, IMAGES) for f in IMAGE_FORMS.values())],
    ids=[*LINEAR_FORMS, *(f"images_{name}" for name in IMAGE_FORMS)],
)
def test_piecewise_linear_operations_equal_gradient_x_input_and_fill_the_account(operation, x):
    model = Between(operation, x)
    assert torch.allclose(check_account(model, x), simple_taylor(model, x, 1), rtol=1e-7, atol=1e-9)


# Pass: the relevance of an activation goes unchanged to what is below it, though its gradient is
# another.

ACTIVATIONS = (
    "relu relu6 leaky_relu elu selu celu gelu silu mish softplus tanh tanhshrink softsign "
    "sigmoid logsigmoid hardtanh hardswish hardsigmoid"
).split()


@pytest.mark.parametrize(
    "activation",
    [
        *(getattr(F, name) for name in ACTIVATIONS),
        torch.tanh,
        torch.sigmoid,
        torch.Tensor.sigmoid,
        torch.Tensor.tanh,
        lambda h: F.threshold(h, 0.1, -0.2),
        lambda h: F.prelu(h, torch.tensor([0.2]).double()),
        nn.PReLU().double(),
        lambda h: F.rrelu(h),
        lambda h: h.clamp(-0.5, 0.5),
        lambda h: torch.clamp_min(h, 0.1),
        nn.Hardtanh(inplace=True),
        nn.ELU(inplace=True),
        nn.SiLU(inplace=True),
        nn.LeakyReLU(0.1, True),
        lambda h: F.elu_(h),
        lambda h: torch.sigmoid_(h),
        lambda h: h.tanh_(),
        lambda h: F.dropout(h, 0.0, True),
    ],
)
def test_an_activation_passes_relevance_on_unchanged(activation):
    model = Between(activation, X)
    relevance = check_account(model, X)
    z = model.first(X).detach()
    h = activation(z.clone()).detach()
    above = h * model.last.weight[1].detach()
    assert torch.allclose(relevance, X * ((above / z) @ model.first.weight.detach()))


def test_every_name_of_the_lists_is_a_function_of_torch():
    """So that a misspelt name, which would refuse what is meant to work, is found."""
    named = {
        name.strip("_")
        for space in (torch, F, torch.Tensor, torch.nn.functional)
        for name in dir(space)
    }
    named |= {"getitem", F.logsigmoid.__name__}
    assert (
        not (
            operations.PASS
            | operations.ROUTE
            | operations.SHARE
            | operations.DENSE
            | operations.CONVOLUTION
            | operations.CONSTANT
        )
        - named
    )
    assert operations.SEVERAL <= operations.ROUTE


def test_a_residual_sum_shares_in_proportion():
    """R_a = a / (a + b) R, element by element, and nothing at the places where a + b = 0."""

    class Sum(nn.Module):
        def forward(self, x):
            return x[:, :2] + x[:, 2:]

    x = torch.tensor([[1.0, 2.0, 3.0, -2.0]])
    assert torch.equal(lrp(Sum(), x, 0), torch.tensor([[1.0, 0, 3, 0]]))
    assert torch.equal(lrp(Sum(), x, 1), torch.zeros(1, 4))


def test_average_pooling_shares_in_proportion():
    model = nn.Sequential(nn.AvgPool1d(4), nn.Flatten())
    assert torch.allclose(
        lrp(model, torch.tensor([[[1.0, 2, -1, 6]]]), 0), torch.tensor([[[1.0, 2, -1, 6]]]) / 4
    )


def test_maximum_pooling_gives_all_to_the_winner():
    model = nn.Sequential(nn.MaxPool1d(4), nn.Flatten())
    assert torch.equal(
        lrp(model, torch.tensor([[[1.0, 2, -1, 6]]]), 0), torch.tensor([[[0.0, 0, 0, 6]]])
    )


# In place: what is written over must survive for the way back, and whoever reads it afterwards must
# see what was written.

IN_PLACE = {
    "alias": (lambda h: alias(h, lambda y: y.add_(1)), lambda h: 3 * (h + 1)),
    "operator": (lambda h: alias(h, lambda y: y.__imul__(2)), lambda h: 6 * h),
    "relu": (lambda h: alias(h, F.relu_), lambda h: 3 * h.relu()),
    "module": (lambda h: alias(h, nn.ReLU(inplace=True)), lambda h: 3 * h.relu()),
    "twice": (
        lambda h: alias(h, lambda y: y.add_(1).relu_().mul_(2)),
        lambda h: 6 * (h + 1).relu(),
    ),
    "self": (lambda h: alias(h, lambda y: y.add_(y)), lambda h: 6 * h),
    "constant": (lambda h: torch.zeros(3, 6).double().add_(h).relu_() + 1, lambda h: h.relu() + 1),
    "before_use": (lambda h: before_use(h), lambda h: 2 * h + (h + 1).relu()),
    "fill": (lambda h: alias(h, lambda y: y.masked_fill_(y < 0, 0)), lambda h: 3 * h.relu()),
    "chunks": (lambda h: chunks(h), lambda h: torch.cat([h[:, :3] + h[:, 3:], h[:, 3:] * 2], 1)),
}


def alias(h, write):
    h = h * 1
    y = h
    write(y)
    return h + 2 * y


def before_use(h):
    h = h * 1
    doubled = 2 * h
    h += 1
    return doubled + h.relu_()


def chunks(h):
    a, b = (h * 1).chunk(2, 1)
    a += b
    return torch.cat([a, b * 2], 1)


@pytest.mark.parametrize("rules", [Zero(), Epsilon(0.1), ZPlus()], ids=str)
@pytest.mark.parametrize(("in_place", "plain"), IN_PLACE.values(), ids=IN_PLACE)
def test_an_operation_in_place_equals_the_same_out_of_place(in_place, plain, rules):
    one, two = Between(in_place, X), Between(plain, X)
    assert torch.allclose(
        check_account(one, X, rules), check_account(two, X, rules), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda h: h[:, 1:].add_(1),
        lambda h: h.view(-1).relu_(),
        lambda h: h.T.mul_(2),
        lambda h: F.relu(h.flatten(), inplace=True),
    ],
)
def test_reading_a_tensor_after_a_write_through_its_view_is_refused(write):
    def operation(h):
        h = h * 1
        write(h)
        return h + 1

    with pytest.raises(ValueError, match="changed in place through a view"):
        lrp(Between(operation, X), X)


def test_a_view_that_is_read_after_a_write_to_its_base_is_refused():
    def operation(h):
        h = h * 1
        view = h[:, 2:]
        h += 1
        return h[:, 2:] + view

    with pytest.raises(ValueError, match="changed in place through a view"):
        lrp(Between(operation, X), X)


def test_a_write_through_a_view_that_nobody_reads_again_is_followed():
    model = Between(lambda h: F.relu((h * 1).view(-1, 2, 3), inplace=True), X)
    assert torch.allclose(check_account(model, X), simple_taylor(model, X, 1), rtol=1e-7, atol=1e-9)


# Known facts about an input must not be claimed of others.


@pytest.mark.parametrize(
    "operation",
    [
        lambda h: torch.cat([h.relu(), -torch.ones(3, 2).double()], 1),
        lambda h: torch.minimum(h.relu(), C),
        lambda h: torch.where(h > 0, h.relu(), C),
        lambda h: h.relu().masked_fill(h < 0, -1),
        lambda h: F.pad(h.relu(), (1, 1), value=-1.0),
        lambda h: h.relu() - 1,
        lambda h: -h.relu(),
        lambda h: F.alpha_dropout(h.relu(), 0.5, True),
        lambda h: torch.stack([h.relu(), C.expand(3, 6)], 1),
    ],
)
def test_an_input_of_the_next_layer_is_not_taken_for_nonnegative_when_it_is_not(operation):
    seen = []
    torch.manual_seed(0)
    lrp(Between(operation, X), X, 0, lambda layer: seen.append(layer) or ZPlus())
    assert (seen[-1].a < 0).any() and not seen[-1].nonnegative


def test_the_first_layer_is_the_one_that_reads_x_in_whatever_shape():
    seen = []
    model = Between(lambda h: h.relu(), X)
    lrp(
        nn.Sequential(nn.Flatten(), nn.Dropout(), model).eval(),
        X,
        0,
        lambda layer: seen.append((layer.reads_input, layer.nonnegative)) or Zero(),
    )
    assert seen == [(True, False), (False, True)]


# Constants: from anywhere, as long as they do not depend on x.

GLOBAL = torch.full((6,), 0.5, dtype=torch.float64)


def test_a_constant_may_be_a_buffer_an_attribute_a_global_or_made_on_the_way():
    class Constants(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("one", torch.ones(6).double())
            self.two = torch.full((6,), 2.0).double()
            self.weight = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6).double())

        def forward(self, h):
            return self.weight(
                h * self.two + self.one + GLOBAL + torch.arange(6.0) + torch.tensor([1.0])
            )

    model = Between(Constants(), X)
    assert torch.allclose(check_account(model, X), simple_taylor(model, X, 1), rtol=1e-7, atol=1e-9)


# Refused, each by its name; nothing is silently wrong.


class OutOfSight(torch.autograd.Function):
    @staticmethod
    def forward(context, h):
        return torch.from_numpy(np.tanh(h.numpy()))

    @staticmethod
    def backward(context, gradient):
        return gradient


class Seen(torch.autograd.Function):
    @staticmethod
    def forward(context, h):
        return h.relu()

    @staticmethod
    def backward(context, gradient):
        return gradient


def set_data(h):
    h.data = torch.zeros_like(h)
    return h


REFUSED = {
    "softmax": (lambda h: h.softmax(1), "'softmax'.*: explain the logits"),
    "log_softmax": (lambda h: F.log_softmax(h, 1), "'log_softmax'.*logits"),
    "reciprocal": (lambda h: 1 / h, "'r.*div'|'reciprocal'"),
    "power": (lambda h: (h.abs() + 1) ** -0.5, "'pow'"),
    "exp": (lambda h: h.exp(), "'exp'"),
    "exp_": (lambda h: (h * 1).exp_(), "'exp'"),
    "batch_statistics": (
        nn.BatchNorm1d(6, track_running_stats=False).double(),
        "'batch_norm' with the statistics of the batch",
    ),
    "std": (lambda h: h.std(1), "'std'"),
    "norm": (lambda h: h.norm(dim=1), "'norm'"),
    "round": (lambda h: h.round(), "'round'"),
    "rounded_division": (lambda h: torch.div(h, 1, rounding_mode="floor"), "'div'"),
    "floor_division": (lambda h: h // 1, "floor"),
    "long": (lambda h: h + h.long(), "'long'"),
    "to_long": (lambda h: h + h.to(torch.long), "'to'"),
    "item": (lambda h: h + h[0, 0].item(), "'item'"),
    "float": (lambda h: h + float(h[0, 0]), "'float'"),
    "int": (lambda h: h + int(h[0, 0]), "'int'"),
    "tolist": (lambda h: h + torch.tensor(h.tolist()), "'tolist'"),
    "numpy": (lambda h: h + torch.from_numpy(h.numpy()), "'numpy'"),
    "asarray": (lambda h: h + torch.from_numpy(np.tanh(np.asarray(h))), "'array'"),
    "detach": (lambda h: h + h.detach(), "'detach'"),
    "data": (lambda h: h + h.data, "'data'"),
    "set_data": (set_data, "'set'"),
    "out": (lambda h: torch.add(h, 1, out=h), "out="),
    "new_tensor": (lambda h: h + h.new_tensor(h), "'new_tensor'"),
    "tensor": (lambda h: h + torch.tensor(h), "'tensor'"),
    "bucketize": (lambda h: h + torch.bucketize(h, C), "'bucketize'"),
    "dlpack": (lambda h: h + torch.from_dlpack(h), "'dlpack'"),
    "embedding_norm": (lambda h: F.cosine_similarity(h, C[None])[:, None], "'cosine_similarity'"),
    "aten": (lambda h: h + torch.ops.aten.exp(h), "'exp'"),
    "function_numpy": (lambda h: h + OutOfSight.apply(h), "'numpy'"),
    "direct_batch_norm": (
        lambda h: torch.batch_norm(h, None, None, C, C + 2, False, 0.1, 1e-5, False),
        "'batch_norm'",
    ),
}


@pytest.mark.parametrize("where", ["path", "branch"])
@pytest.mark.parametrize(("operation", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_rule_is_refused_by_its_name(operation, message, where):
    model = Between(
        operation if where == "path" else lambda h: torch.cat([h, operation(h).reshape(3, -1)], 1),
        X,
    )
    with pytest.raises(ValueError, match=f"^model: the operation .*({message})"):
        lrp(model, X)


with torch.no_grad(), warnings.catch_warnings():
    # scripting has a successor, but there are models that use it
    warnings.simplefilter("ignore", DeprecationWarning)
    SCRIPTED = torch.jit.script(nn.Sequential(nn.Linear(6, 6), nn.ReLU())).double()
    TRACED = torch.jit.trace(lambda h: torch.exp(h), torch.rand(2, 6))

    @torch.jit.script
    def WRITES(h: torch.Tensor) -> None:
        h.add_(1.0)


UNSEEN = {
    "script": SCRIPTED,
    "trace": TRACED,
    "vmap": torch.vmap(torch.exp),
    "subclass": lambda h: h.as_subclass(torch.Tensor).exp(),
    "constructor": lambda h: torch.DoubleTensor(h).exp(),
}


@pytest.mark.parametrize("where", ["path", "branch", "later"])
@pytest.mark.parametrize("operation", UNSEEN.values(), ids=UNSEEN)
def test_what_computes_out_of_sight_is_refused_also_in_a_branch(operation, where):
    """Code that torch does not show: what comes of it is no constant of the model, for a second run
    gives another tensor.
    """
    forms = {
        "path": operation,
        "branch": lambda h: h + operation(h),
        "later": lambda h: torch.cat([h, (operation(h) * 2).relu()], 1),
    }
    with pytest.raises(
        ValueError,
        match="model: .*(out of sight|do not depend on x through operations that can be followed)",
    ):
        lrp(Between(forms[where], X), X)


@pytest.mark.parametrize(
    "operation",
    [lambda h: h + nn.Parameter(h), lambda h: h + float(f"{h[0, 0]:.6f}")],
    ids=["parameter", "text"],
)
@pytest.mark.xfail(
    strict=True,
    raises=pytest.fail.Exception,
    reason=(
        "torch shows neither the making of a parameter nor what is done with text; to look "
        "for them costs each call more"
    ),
)
def test_a_value_smuggled_out_as_a_parameter_or_as_text_is_refused(operation):
    """Both cut torch's own gradient too, so that the result is at least that of the same code under
    gradient × input.
    """
    with pytest.raises(ValueError):
        lrp(Between(operation, X), X)


def test_a_scripted_write_into_a_tensor_is_seen_by_all_that_follow():
    def operation(h):
        h = h * 1
        WRITES(h)
        return h.relu()

    model, reference = Between(operation, X), Between(lambda h: (h + 1).relu(), X)
    assert torch.allclose(check_account(model, X), check_account(reference, X))


def test_a_custom_function_made_of_known_operations_is_followed():
    one, two = Between(Seen.apply, X), Between(torch.relu, X)
    assert torch.equal(lrp(one, X, 0), lrp(two, X, 0))


def test_checkpointed_code_is_followed():
    from torch.utils.checkpoint import checkpoint

    one, two = (
        Between(lambda h: checkpoint(torch.relu, h, use_reentrant=False), X),
        Between(torch.relu, X),
    )
    assert torch.equal(lrp(one, X, 0), lrp(two, X, 0))


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.BatchNorm2d(4)], ids=["1d", "2d"])
def test_batch_normalisation_in_training_mode_is_explained_in_evaluation_mode(norm):
    x = X if isinstance(norm, nn.BatchNorm1d) else IMAGES
    model = Between(norm.double().train(), x)
    model.operation.train()
    mean = norm.running_mean.clone()
    relevance = lrp(model, x, 0)
    assert model.operation.training and torch.equal(norm.running_mean, mean)
    assert torch.equal(relevance, lrp(model.eval(), x, 0))


@pytest.mark.parametrize(
    "form",
    [
        lambda x, w: x @ w,
        torch.matmul,
        torch.mm,
        lambda x, w: torch.matmul(input=x, other=w),
        lambda x, w: F.linear(x, w.T),
        lambda x, w: x.matmul(w),
    ],
)
def test_a_product_with_constant_weights_is_a_dense_layer(form):
    w = torch.randn(6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    model, reference = Between(lambda h: h, X), nn.Linear(6, 3, bias=False).double()
    with torch.no_grad():
        reference.weight.copy_(w.T)
    model.forward = lambda x: form(x, w)
    assert torch.allclose(lrp(model, X, 0, ZPlus()), lrp(reference, X, 0, ZPlus()))


def test_changing_the_dtype_on_the_way_leaves_the_relevance_in_that_of_x():
    model = Between(lambda h: h.relu().float().double(), X)
    assert lrp(model, X, 0, Zero()).dtype == torch.float64
    assert torch.allclose(
        lrp(model, X, 0, Zero()), lrp(Between(torch.relu, X), X, 0, Zero()), rtol=1e-5, atol=1e-6
    )


def test_nothing_of_a_traced_pass_outlives_the_call():
    """No cycle may keep the activations alive until the garbage collector runs: that would double
    the memory.
    """
    import gc
    import weakref

    made, begin = [], engine.Tracer.__init__

    def remember(self, *args):
        begin(self, *args)
        made.append(weakref.ref(self))

    engine.Tracer.__init__ = remember
    gc.disable()
    try:
        lrp(models.cnn(), torch.rand(2, 1, 8, 8))
        lrp(models.pretrained("reviews_lstm"), torch.ones(2, 24, dtype=torch.long), rules=Epsilon())
        assert [tracer() for tracer in made] == [None, None]
    finally:
        gc.enable()
        engine.Tracer.__init__ = begin


# Plain layers in a row are told their one call instead of being watched: nothing may depend on
# that.


def chain(**changed):
    with models.seeded(0):
        layers = [
            nn.Conv2d(2, 4, 3, padding=1, stride=(1, 2), groups=2),
            nn.ReLU(),
            nn.Sequential(
                nn.MaxPool2d(2, 1, ceil_mode=True),
                nn.Conv2d(4, 3, (2, 1), dilation=(1, 2), bias=False),
            ),
            nn.Sigmoid(),
            nn.Dropout(),
            nn.Flatten(1),
            nn.ReLU(),
            nn.LazyLinear(5),
            nn.BatchNorm1d(5),
            nn.ReLU(),
            nn.Linear(5, 3, bias=False),
        ]
        for place, layer in changed.items():
            layers[int(place[1:])] = layer
        model = nn.Sequential(*layers).double().eval()
        model(IMAGES)
    return model


def nudged(layer, hook):
    layer.register_forward_hook(hook)
    return layer


class Doubled(nn.ReLU):
    def forward(self, h):
        return 2 * super().forward(h)


def own_forward(layer):
    layer.forward = lambda h: 2 * h.relu()
    return layer


CHAINS = {
    "plain": lambda: chain(),
    "in place": lambda: chain(_1=nn.ReLU(inplace=True), _6=nn.ReLU(inplace=True)),
    "padding of another kind": lambda: chain(
        _0=nn.Conv2d(2, 4, 3, padding=1, stride=(1, 2), padding_mode="reflect")
    ),
    "padding by name": lambda: chain(_0=nn.Conv2d(2, 4, 3, padding="same")),
    "a hook that changes the output": lambda: chain(
        _1=nudged(nn.ReLU(), lambda layer, args, output: output * 2)
    ),
    "a subclass": lambda: chain(_1=Doubled()),
    "a forward of its own": lambda: chain(_1=own_forward(nn.ReLU())),
    "a weight by parametrisation": lambda: chain(
        _10=nn.utils.parametrizations.weight_norm(nn.Linear(5, 3))
    ),
}


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("rules", [Zero(), "epsilon_plus", "epsilon_alpha2_beta1"], ids=str)
def test_a_chain_of_layers_is_traced_as_if_it_were_watched(kind, rules):
    model = CHAINS[kind]()
    watched = Net(lambda self, x: self.chain(x), chain=model)
    check_account(model, IMAGES, Zero())
    (R, account), (expected, theirs) = (
        lrp(m, IMAGES, 1, rules, return_layers=True) for m in (model, watched)
    )
    assert torch.equal(R, expected) and [(a.operation, a.rule) for a in account] == [
        (b.operation, b.rule) for b in theirs
    ]
    assert all(
        torch.equal(a.relevance, b.relevance) and torch.equal(a.absorbed, b.absorbed)
        for a, b in zip(account, theirs)
    )


def test_hooks_on_all_modules_are_seen_in_a_chain_too():
    model, layers = chain(), []
    alone = lrp(model, IMAGES, 1)
    handle = nn.modules.module.register_module_forward_hook(
        lambda layer, args, output: layers.append(layer)
    )
    try:
        assert torch.equal(lrp(model, IMAGES, 1), alone)
    finally:
        handle.remove()
    assert {type(layer) for layer in layers} >= {
        nn.Conv2d,
        nn.ReLU,
        nn.MaxPool2d,
        nn.Flatten,
        nn.Linear,
    }


# ---------------------------------------------------------------- where it was refused


class Attention(nn.Module):
    """Multiplies along the positions, which has no rule."""

    def forward(self, x):
        return x.cumprod(1) + x


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def forward(self, x):
        return self.attention(x)


def test_an_error_says_where_in_the_model_it_was_and_what_to_do():
    model = nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"a": Block()})["a"], nn.Linear(4, 2))
    message = r"'cumprod' .*\(in 1\.attention\): write it with"
    with pytest.raises(ValueError, match=message) as refusal:
        lrp(model, torch.rand(2, 4))
    assert isinstance(refusal.value, engine.NoRuleError)
    assert (refusal.value.operation, refusal.value.place) == ("cumprod", "1.attention")


@pytest.mark.parametrize(
    "layer, message",
    [
        (nn.Softmax(1), r"'softmax' has no relevance rule: explain the logits \(in 1\)"),
        (nn.BatchNorm1d(4, track_running_stats=False), r"'batch_norm' with the .* \(in 1\)"),
    ],
)
def test_a_layer_without_a_rule_is_named_by_its_path(layer, message):
    with pytest.raises(ValueError, match=message):
        lrp(nn.Sequential(nn.Linear(4, 4), layer), torch.rand(2, 4), 0)


@pytest.mark.parametrize(
    "write",
    {
        "a slice of zeros": lambda h: item(
            torch.zeros(3, 8).double(), (slice(None), slice(1, 7)), h
        ),
        "a part of a signal": lambda h: item(h * 2, (slice(None), 0), h[:, 1]),
        "a number": lambda h: item(h * 1, (slice(None), 2), 0.5),
        "a mask": lambda h: item(h * 1, (slice(None), torch.arange(6) > 3), h[:, :2]),
        "copy": lambda h: torch.empty(3, 6).double().copy_(h),
        "step by step": lambda h: step_by_step(h),
        "scattered": lambda h: (
            torch.zeros(3, 6).double().scatter(1, torch.arange(6)[None].expand(3, 6), h)
        ),
        "index_copy": lambda h: (h * 1).index_copy(1, torch.tensor([4]), h[:, :1]),
    }.items(),
    ids=lambda case: case[0],
)
def test_values_written_into_places_keep_their_relevance(write):
    """The oracle: what is written is linear, so that LRP-0 is gradient × input."""
    model = Between(write[1], X)
    torch.testing.assert_close(lrp(model, X, 1, Zero()), gradient_x_input(model, X, 1))


def item(tensor, index, value):
    tensor[index] = value
    return tensor


def step_by_step(h):
    states, state = torch.zeros_like(h), 0
    for t in range(h.shape[1]):
        state = 0.5 * state + h[:, t]
        states[:, t] = state
    return states


def test_what_is_written_over_is_stale_where_a_view_of_it_was_taken_before():
    def stale(h):
        h = h * 1
        view = h[:, :2]
        h[:, 0] = 0.0
        return torch.cat([h, view], 1)

    with pytest.raises(ValueError, match="changed in place through a view"):
        lrp(Between(stale, X), X)


@pytest.mark.parametrize(
    "operation",
    [
        nn.Hardshrink(0.3),
        nn.Softshrink(0.3),
        nn.Tanhshrink(),
        lambda h: h.square(),
        lambda h: h.abs(),
        lambda h: h.abs().sqrt(),
        lambda h: h**3,
    ],
)
def test_functions_of_single_neurons_pass_relevance_on(operation):
    model = Between(operation, X)
    account = lrp(model, X, 1, Zero(), return_layers=True)[1]
    below, above = account[0].relevance, account[-1].relevance
    assert above.shape == (3, 3)
    middle = [line for line in account if line.operation != "linear"]
    assert all(not line.absorbed.any() for line in middle)
    torch.testing.assert_close(below.sum(1), above.sum(1) - account[-1].absorbed)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_lp_pooling_shares_in_proportion_to_the_powers(power):
    """z = (sum_i a_i^p)^(1/p), so a_i dz/da_i = a_i^p z^(1 - p): shares a_i^p / sum_i a_i^p."""
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    model = nn.Sequential(nn.LPPool2d(power, 4), nn.Flatten())
    shares = x**power / (x**power).sum((2, 3), keepdim=True)
    expected = shares * model(x)[:, :, None, None]
    torch.testing.assert_close(lrp(model, x, 0), expected)
    x[0] = 0  # where nothing is, nothing is shared
    assert torch.equal(lrp(model, x, 0)[0], torch.zeros(1, 4, 4).double())


def test_fractional_pooling_is_a_choice_of_values():
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    places = torch.full((2, 1, 2), 0.4, dtype=torch.float64)
    model = nn.Sequential(
        nn.FractionalMaxPool2d(2, output_size=3, _random_samples=places), nn.Flatten()
    )
    torch.testing.assert_close(lrp(model, x, 4), simple_taylor(model, x, 4))


@pytest.mark.parametrize("reduce", ["sum", "mean", "amax", "amin"])
@pytest.mark.parametrize("include", [True, False])
def test_scattered_messages_are_shared_or_chosen(reduce, include):
    """As the messages of a graph: sums, means and largest ones are homogeneous, so that LRP-0 is
    gradient × input.
    """
    index = torch.tensor([0, 1, 1, 2, 0, 2])

    def spread(h):
        places = index[None].expand(3, 6)
        return (h[:, :3] * 0.5).scatter_reduce(1, places, h, reduce, include_self=include)

    model = Between(spread, X, bias=False)
    torch.testing.assert_close(lrp(model, X, 1, Zero()), gradient_x_input(model, X, 1))


def test_a_buffer_that_the_model_replaces_while_it_runs_is_a_constant():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("positions", torch.zeros(1, dtype=torch.float64))

        def forward(self, h):
            if self.positions.shape[-1] != h.shape[-1]:
                self.positions = torch.linspace(0, 1, h.shape[-1], dtype=h.dtype)
            return h * self.positions

    operation = Positions()
    model = Between(operation, X, bias=False)
    operation.positions = torch.zeros(1, dtype=torch.float64)  # as before the first run
    torch.testing.assert_close(lrp(model, X, 1, Zero()), gradient_x_input(model, X, 1))
    assert operation.positions.shape == (1,)
