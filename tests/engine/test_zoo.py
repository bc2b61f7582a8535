"""Networks as people bring them: the well-known architectures in small, written in the ways in
which they are published.

The reference is the network itself, run once more as its linearised `Twin`: the same calls, in
which gates, attention weights and the sizes that norms divide by are constants, and each activation
is its input times a constant. There LRP-0 is gradient × input.
"""

import copy
import math
from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations
from torch.overrides import TorchFunctionMode

from lib import models
from lib.lrp import COMPOSITES, AlphaBeta, Epsilon, Gamma, WSquare, ZBox, Zero, ZPlus, lrp

torch.set_num_threads(1)
# from within torch
pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated:DeprecationWarning"
)

# The twin.

ACTIVATIONS = set(
    (
        "gelu silu hardswish elu selu celu mish softplus tanh hardtanh relu6 clamp clip "
        "log_sigmoid logsigmoid softsign abs sqrt pow square"
    ).split()
)
GATES = set("sigmoid hardsigmoid softmax exp norm".split())
SHAPES = set(
    (
        "view reshape unsqueeze squeeze expand expand_as transpose permute flatten getitem split "
        "chunk unbind dropout div"
    ).split()
)


def as_factor(z, y):
    """y = f(z) written as z times a constant; where z = 0, y itself is the constant."""
    return z * torch.where(z == 0, 0, y / z).detach() + torch.where(z == 0, y, 0).detach()


class ByTaylor(torch.autograd.Function):
    """Shares in proportion to input x gradient: R_i = sum_j a_i dz_j/da_i / (sum_i a_i dz_j/da_i)
    R_j.
    """

    @staticmethod
    def forward(context, a, f):
        context.save_for_backward(a)
        context.f = f
        return f(a)

    @staticmethod
    def backward(context, gradient):
        (a,) = context.saved_tensors
        z, whole = torch.func.jvp(context.f, (a,), (a,))
        return torch.func.vjp(context.f, a)[1]((gradient * z / whole).nan_to_num(0))[0], None


class Twin(TorchFunctionMode):
    """Within it a network computes the same, but torch's way back is that of LRP-0."""

    def __init__(self):
        super().__init__()
        self.vectors = None
        self.kind = {}  # id of a tensor: the tensor and what it is

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = function.__name__.strip("_"), kwargs or {}
        if function.__name__ == "__get__":
            return function(*args, **kwargs)
        before = args[0] if args else None
        if name in ACTIVATIONS:  # the value before it must survive an activation in place
            args = (before * 1, *args[1:])
        handler = getattr(self, f"_{name}", None)
        result = handler(function, *args, **kwargs) if handler else function(*args, **kwargs)
        if name not in SHAPES:
            self.kind.pop(id(result), None)  # an operation in place makes something else of it
        given = [t for t in args if isinstance(t, torch.Tensor) and t.requires_grad]
        if name in GATES:
            self._mark(result, "gate")
        elif name in SHAPES and given and self._is(given[0], "gate"):
            for part in result if isinstance(result, (tuple, list)) else [result]:
                self._mark(part, "gate")
        elif name == "linear" and self._is(before, "gate") and result.shape == before.shape:
            self._mark(result, "gate")  # talking heads
        elif name in ACTIVATIONS:
            result = as_factor(before, result) if given else result
        return result

    def _mark(self, tensor, kind):
        self.kind[id(tensor)] = tensor, kind

    def _is(self, tensor, kind):
        return self.kind.get(id(tensor), (None, None))[1] == kind

    def _product(self, function, a, b, *rest):
        gates = [self._is(t, "gate") for t in (a, b)]
        signals = [isinstance(t, torch.Tensor) and t.requires_grad for t in (a, b)]
        if all(signals) and not any(gates):  # half to each
            return (function(a, b.detach(), *rest) + function(a.detach(), b, *rest)) / 2
        return function(*(t.detach() if gate else t for t, gate in zip((a, b), gates)), *rest)

    _mul = _matmul = _bmm = _bilinear = _product

    def _addcmul(self, function, input, a, b, value=1):
        return input + self._product(torch.mul, a, b) * value

    def _truediv(self, function, a, b):
        return function(a, b.detach() if isinstance(b, torch.Tensor) else b)

    _div = _truediv

    def _einsum(self, function, equation, *operands):
        return function(equation, *(t.detach() if self._is(t, "gate") else t for t in operands))

    def _sigmoid(self, function, z):
        return as_factor(z, function(z))  # in a product it is a gate, alone an activation

    def _layer_norm(self, function, x, shape, weight=None, bias=None, eps=1e-5):
        over = tuple(range(-len(shape), 0))
        size = (x.var(over, keepdim=True, correction=0) + eps).sqrt().detach()
        y = (x - x.mean(over, keepdim=True)) / size
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    def _group_norm(self, function, x, groups, weight, bias, eps):
        parts = x.reshape(len(x), groups, -1)
        y = self._layer_norm(None, parts, parts.shape[2:], eps=eps).reshape(x.shape)
        return y * weight.view(-1, 1, 1) + bias.view(-1, 1, 1)

    def _local_response_norm(self, function, x, *args, **kwargs):
        return ByTaylor.apply(x, lambda a: function(a, *args, **kwargs))

    def _scaled_dot_product_attention(self, function, q, k, v, *args, **kwargs):
        return function(q.detach(), k.detach(), v, *args, **kwargs)

    def _multi_head_attention_forward(
        self,
        function,
        x,
        key,
        value,
        width,
        heads,
        w,
        b,
        bias_k,
        bias_v,
        zero,
        dropout,
        w_out,
        b_out,
        **kwargs,
    ):
        assert (
            key is x
            and value is x
            and not any(kwargs.get(name) for name in ("attn_mask", "key_padding_mask"))
        )
        # from (T, N, D)
        q, k, v = F.linear(x, w, b).unflatten(-1, (3, heads, width // heads)).permute(2, 1, 3, 0, 4)
        weights = (q @ k.mT / math.sqrt(width // heads)).softmax(-1).detach()
        return F.linear((weights @ v).permute(2, 0, 1, 3).flatten(2), w_out, b_out), weights

    def _embedding(self, function, words, table, *args, **kwargs):
        vectors = function(words, table, *args, **kwargs)
        if words.data_ptr() != self.words.data_ptr():
            return vectors
        self.vectors = vectors.detach().requires_grad_()
        return self.vectors

    def _recurrent(
        self, function, x, states, flat, has_bias, layers, dropout, training, both, batch_first
    ):
        x, kind, last = x.transpose(0, 1) if batch_first else x, function.__name__, []
        for layer in range(layers):
            out = []
            for side in range(1 + both):
                w, u, b, d = flat[4 * (layer * (1 + both) + side) :][:4]
                steps, h, c = [], torch.zeros(x.shape[1], u.shape[1], dtype=x.dtype), 0
                for x_t in x.flip(0) if side else x:
                    v, s = x_t @ w.T + b, h @ u.T + d
                    if kind == "lstm":
                        i, f, g, o = (v + s).chunk(4, 1)
                        c = f.sigmoid().detach() * c + i.sigmoid().detach() * as_factor(g, g.tanh())
                        h = o.sigmoid().detach() * as_factor(c, c.tanh())
                    else:
                        (r, z, n), (r_h, z_h, n_h) = v.chunk(3, 1), s.chunk(3, 1)
                        n, z = n + (r + r_h).sigmoid().detach() * n_h, (z + z_h).sigmoid().detach()
                        h = (1 - z) * as_factor(n, n.tanh()) + z * h
                    steps.append(h)
                last.append(h)
                out.append(torch.stack(steps).flip(0) if side else torch.stack(steps))
            x = torch.cat(out, -1)
        x = x.transpose(0, 1) if batch_first else x
        return (x, torch.stack(last), None) if kind == "lstm" else (x, torch.stack(last))

    _lstm = _gru = _recurrent


def gradient_x_input_of_the_twin(model, x, target):
    model, twin, leaf = copy.deepcopy(model).eval().requires_grad_(False), Twin(), x.clone()
    for parent in list(model.modules()):
        for name, part in parent.named_children():
            if type(part) in WRITTEN:  # an activation in many calls: the same in one
                setattr(parent, name, WRITTEN[type(part)])
    twin.words = leaf
    if x.is_floating_point():
        leaf.requires_grad_()
    with torch.enable_grad(), twin:
        scores = model(leaf * 1 if x.is_floating_point() else leaf)
    with torch.no_grad():
        torch.testing.assert_close(scores, model(x.clone()))
    source = leaf if x.is_floating_point() else twin.vectors
    product = source.detach() * torch.autograd.grad(scores[:, target].sum(), source)[0]
    return (
        product
        if x.is_floating_point()
        else product.sum(-1)
        if product.shape[:-1] == x.shape
        else product.sum(-1).t()
    )


# Image networks.


def conv3x3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inputs, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = conv3x3(inputs, planes, stride), nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv3x3(planes, planes), nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv3x3(planes, planes, stride), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = (
            nn.Conv2d(planes, planes * 4, 1, bias=False),
            nn.BatchNorm2d(planes * 4),
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += residual
        out = self.relu(out)
        return out


class ResNet(nn.Module):
    def __init__(self, block, classes=3):
        super().__init__()
        self.inputs = 4
        self.conv1, self.bn1, self.relu = (
            nn.Conv2d(3, 4, 7, 2, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1, self.layer2 = (
            self._make_layer(block, 4, 2),
            self._make_layer(block, 6, 2, stride=2),
        )
        self.avgpool, self.fc = (
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Linear(6 * block.expansion, classes),
        )

    def _make_layer(self, block, planes, blocks, stride=1):
        downsample = None
        if stride != 1 or self.inputs != planes * block.expansion:
            downsample = nn.Sequential(
                nn.Conv2d(self.inputs, planes * block.expansion, 1, stride, bias=False),
                nn.BatchNorm2d(planes * block.expansion),
            )
        layers = [block(self.inputs, planes, stride, downsample)]
        self.inputs = planes * block.expansion
        layers += [block(self.inputs, planes) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class PreActivationBlock(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, planes, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv3x3(planes, planes)
        if stride != 1 or inputs != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride, bias=False))

    def forward(self, x):
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class PreActivationResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = conv3x3(3, 4)
        self.blocks = nn.Sequential(PreActivationBlock(4, 4, 1), PreActivationBlock(4, 6, 2))
        self.bn, self.linear = nn.BatchNorm2d(6), nn.Linear(24, 3)

    def forward(self, x):
        out = F.relu(self.bn(self.blocks(self.conv(x))))
        out = F.avg_pool2d(out, 4)
        return self.linear(out.view(out.size(0), -1))


class VGG(nn.Module):
    def __init__(self, cfg=(4, "M", 6, 6, "M")):
        super().__init__()
        layers, inputs = [], 3
        for v in cfg:
            if v == "M":
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [
                    nn.Conv2d(inputs, v, kernel_size=3, padding=1),
                    nn.BatchNorm2d(v),
                    nn.ReLU(inplace=True),
                ]
                inputs = v
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((3, 3))
        self.classifier = nn.Sequential(
            nn.Linear(54, 10),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(10, 8),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(8, 3),
        )

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))


class BasicConv2d(nn.Module):
    def __init__(self, inputs, outputs, **kwargs):
        super().__init__()
        self.conv, self.bn = (
            nn.Conv2d(inputs, outputs, bias=False, **kwargs),
            nn.BatchNorm2d(outputs, eps=0.001),
        )

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


class GoogLeNet(nn.Module):
    """With the normalisation of the paper, an inception block of four branches and the auxiliary
    scores added.
    """

    def __init__(self):
        super().__init__()
        self.conv1, self.lrn = nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.LocalResponseNorm(5)
        self.branch1 = BasicConv2d(6, 3, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(6, 2, kernel_size=1), BasicConv2d(2, 4, kernel_size=3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(6, 2, kernel_size=1),
            BasicConv2d(2, 3, kernel_size=(1, 3), padding=(0, 1)),
            BasicConv2d(3, 3, kernel_size=(3, 1), padding=(1, 0)),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(6, 2, kernel_size=1),
        )
        self.aux, self.dropout, self.fc = nn.Linear(24, 3), nn.Dropout(0.2), nn.Linear(12, 3)

    def forward(self, x):
        x = self.lrn(F.max_pool2d(F.relu(self.conv1(x)), 3, stride=2, ceil_mode=True))
        aux = self.aux(torch.flatten(F.adaptive_avg_pool2d(x, (2, 2)), 1))
        outputs = [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)]
        x = torch.cat(outputs, 1).mean(dim=(2, 3))
        return self.fc(self.dropout(x)) + 0.3 * aux


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.relu1, self.conv1 = (
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, 2 * growth, 1, bias=False),
        )
        self.norm2, self.relu2, self.conv2 = (
            nn.BatchNorm2d(2 * growth),
            nn.ReLU(inplace=True),
            conv3x3(2 * growth, growth),
        )

    def forward(self, features):
        bottleneck = self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu2(self.norm2(bottleneck)))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                [("conv0", conv3x3(3, 4)), ("norm0", nn.BatchNorm2d(4)), ("pool0", nn.MaxPool2d(2))]
            )
        )
        self.layers = nn.ModuleDict({f"denselayer{k}": DenseLayer(4 + 3 * k, 3) for k in range(3)})
        self.transition = nn.Sequential(
            nn.BatchNorm2d(13),
            nn.ReLU(inplace=True),
            nn.Conv2d(13, 6, 1, bias=False),
            nn.AvgPool2d(2, 2),
        )
        self.norm5, self.classifier = nn.BatchNorm2d(6), nn.Linear(6, 3)

    def forward(self, x):
        features = [self.features(x)]
        for layer in self.layers.values():
            features.append(layer(features))
        out = F.relu(self.norm5(self.transition(torch.cat(features, 1))), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(out, (1, 1)), 1))


class SqueezeExcitation(nn.Module):
    def __init__(self, channels, squeeze):
        super().__init__()
        self.avgpool, self.fc1, self.fc2 = (
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeeze, 1),
            nn.Conv2d(squeeze, channels, 1),
        )
        self.activation, self.scale_activation = nn.ReLU(), nn.Hardsigmoid(inplace=True)

    def forward(self, input):
        scale = self.fc2(self.activation(self.fc1(self.avgpool(input))))
        return self.scale_activation(scale) * input


class AttentionModules(nn.Module):
    """The squeeze-and-excitation of SENet with `expand_as`, then the spatial attention of CBAM."""

    def __init__(self):
        super().__init__()
        self.conv, self.avg_pool, self.spatial, self.head = (
            nn.Conv2d(3, 6, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(2, 1, 7, padding=3),
            nn.Linear(6, 3),
        )
        self.fc = nn.Sequential(
            nn.Linear(6, 3, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(3, 6, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x):
        x = F.relu(self.conv(x))
        b, c, _, _ = x.size()
        y = self.fc(self.avg_pool(x).view(b, c)).view(b, c, 1, 1)
        x = x * y.expand_as(x)
        scale = torch.sigmoid(
            self.spatial(
                torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
            )
        )
        return self.head((x * scale).mean(dim=[2, 3]))


class WrittenHardSwish(nn.Module):
    """As it was written before torch had it."""

    def forward(self, x):
        return x * (F.relu6(x + 3.0, inplace=True) / 6.0)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, expanded, outputs, kernel, stride, activation, se):
        super().__init__()
        self.use_res_connect = stride == 1 and inputs == outputs
        layers = [
            nn.Conv2d(inputs, expanded, 1, bias=False),
            nn.BatchNorm2d(expanded),
            activation(),
            nn.Conv2d(expanded, expanded, kernel, stride, kernel // 2, groups=expanded, bias=False),
            nn.BatchNorm2d(expanded),
            activation(),
        ]
        layers += [SqueezeExcitation(expanded, 2)] if se else []
        self.block = nn.Sequential(
            *layers, nn.Conv2d(expanded, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        return x + self.block(x) if self.use_res_connect else self.block(x)


class MobileNet(nn.Module):
    def __init__(self, activation=lambda: nn.Hardswish(inplace=True)):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4),
            activation(),
            InvertedResidual(4, 8, 4, 3, 1, activation, True),
            InvertedResidual(4, 8, 6, 5, 2, lambda: nn.ReLU6(True), False),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6, 8), activation(), nn.Dropout(p=0.2, inplace=True), nn.Linear(8, 3)
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).squeeze(-1).squeeze(-1))


class ChannelsFirstNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels)),
            nn.Parameter(torch.zeros(channels)),
        )

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dwconv, self.norm = (
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            nn.LayerNorm(dim, eps=1e-6),
        )
        self.pwconv1, self.act, self.pwconv2 = (
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
        )
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        input = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        x = (self.gamma * x).permute(0, 3, 1, 2)
        return input + x


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 2, 2), ChannelsFirstNorm(4))
        self.blocks = nn.Sequential(*[ConvNeXtBlock(4) for _ in range(2)])
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


def double_conv(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.GroupNorm(2, outputs),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding="same"),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.middle = (
            double_conv(3, 4),
            double_conv(4, 6),
            double_conv(6, 8),
        )
        self.up2, self.conv2 = nn.ConvTranspose2d(8, 6, 2, stride=2), double_conv(12, 6)
        self.up1, self.conv1 = (
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            double_conv(10, 4),
        )
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        x1 = self.down1(x)
        x2 = self.down2(F.max_pool2d(x1, 2))
        x = self.middle(F.max_pool2d(x2, 2))
        x = self.conv2(torch.cat([x2, self.up2(x)], dim=1))
        x = self.up1(x)
        rows, columns = x1.size(2) - x.size(2), x1.size(3) - x.size(3)
        x = F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])
        return self.out(self.conv1(torch.cat([x1, x], dim=1))).mean((2, 3))


class SegNet(nn.Module):
    """Pooling that is undone at the remembered positions, and sub-pixel convolution."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode, self.up = (
            nn.Conv2d(3, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Conv2d(4, 12, 3, padding=1),
        )
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def forward(self, x):
        x, indices = self.pool(F.relu(self.encode(x)))
        x = F.relu(self.decode(self.unpool(x, indices)))
        x = F.pixel_shuffle(self.up(x), 2)
        return F.interpolate(x, size=(4, 4), mode="nearest").sum(dim=-1).amax(-1)


class PreNormBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.attn, self.norm2 = (
            nn.LayerNorm(dim),
            nn.MultiheadAttention(dim, heads, dropout=0.1, batch_first=True),
            nn.LayerNorm(dim),
        )
        self.mlp = nn.Sequential(
            nn.Linear(dim, 2 * dim),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(2 * dim, dim),
            nn.Dropout(0.1),
        )

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class HandAttention(nn.Module):
    def __init__(self, dim, heads, einsum):
        super().__init__()
        self.num_heads, self.scale, self.einsum = heads, (dim // heads) ** -0.5, einsum
        self.qkv, self.attn_drop, self.proj = (
            nn.Linear(dim, dim * 3, bias=True),
            nn.Dropout(0.1),
            nn.Linear(dim, dim),
        )

    def forward(self, x):
        B, N, C = x.shape
        qkv = (
            self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        )
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.einsum:
            attn = (torch.einsum("bhid,bhjd->bhij", q, k) * self.scale).softmax(dim=-1)
            x = torch.einsum("bhij,bhjd->bhid", attn, v)
        else:
            attn = self.attn_drop(((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1))
            x = attn @ v
        return self.proj(x.transpose(1, 2).reshape(B, N, C))


class HandBlock(nn.Module):
    def __init__(self, dim, heads, einsum):
        super().__init__()
        self.norm1, self.attn, self.norm2 = (
            nn.LayerNorm(dim),
            HandAttention(dim, heads, einsum),
            nn.LayerNorm(dim),
        )
        self.fc1, self.fc2 = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.ls1, self.ls2 = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.ones(dim))

    def forward(self, x):
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.fc2(F.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    def __init__(self, block, dim=8):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, kernel_size=4, stride=4)
        self.cls_token, self.pos_embed = (
            nn.Parameter(torch.zeros(1, 1, dim)),
            nn.Parameter(torch.zeros(1, 17, dim)),
        )
        self.blocks, self.norm, self.head = (
            nn.ModuleList([block(dim) for _ in range(2)]),
            nn.LayerNorm(dim),
            nn.Linear(dim, 3),
        )

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        x = x + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm1, self.norm2 = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6), nn.LayerNorm(6)
        self.tokens = nn.Sequential(nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 16))
        self.channels, self.head = (
            nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6)),
            nn.Linear(6, 3),
        )

    def forward(self, x):
        x = self.stem(x).flatten(2).permute(0, 2, 1)
        y = self.norm1(x).transpose(1, 2)
        x = x + self.tokens(y).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(torch.mean(x, dim=1))


class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn, self.conv2 = (
            nn.Conv3d(2, 4, 3, padding=1),
            nn.BatchNorm3d(4),
            nn.Conv3d(4, 4, (1, 3, 3), groups=2),
        )
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = F.max_pool3d(F.elu(self.bn(self.conv1(x)), inplace=True), (1, 2, 2))
        x = F.dropout3d(F.relu_(self.conv2(x)), training=self.training)
        return self.fc(F.adaptive_avg_pool3d(x, 1).view(x.size(0), -1))


# Text.


class TextRNN(nn.Module):
    def __init__(self, kind, pooling, bidirectional, layers=1, time_first=False):
        super().__init__()
        self.embedding, self.drop = nn.Embedding(20, 5, padding_idx=0), nn.Dropout(0.5)
        self.rnn = getattr(nn, kind)(
            5,
            4,
            layers,
            batch_first=not time_first,
            bidirectional=bidirectional,
            dropout=0.2 if layers > 1 else 0,
        )
        size = 8 if bidirectional else 4
        self.attention, self.fc, self.pooling, self.time_first = (
            nn.Linear(size, 1),
            nn.Linear(size * (2 if pooling == "both" else 1), 3),
            pooling,
            time_first,
        )

    def forward(self, text):
        mask = text != 0
        if self.time_first:
            out, _ = self.rnn(self.drop(self.embedding(text.t())))
            out = out.permute(1, 0, 2)
        else:
            out, hidden = self.rnn(self.drop(self.embedding(text.long())))
        if self.pooling == "both":
            average = (out * mask.unsqueeze(-1).to(out.dtype)).sum(1) / mask.sum(1, keepdim=True)
            out = torch.cat((average, torch.max(out, 1)[0]), 1)
        elif self.pooling == "attention":
            weights = F.softmax(self.attention(torch.tanh(out)), dim=1)
            out = torch.sum(weights * out, dim=1)
        elif self.pooling == "exponential":
            energy = torch.exp(self.attention(out).squeeze(-1)) * mask
            weights = energy / energy.sum(1, keepdim=True)
            out = torch.bmm(weights.unsqueeze(1), out).squeeze(1)
        else:
            out = hidden[-1]
        return self.fc(self.drop(out))


class KimCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 5)
        self.convs = nn.ModuleList([nn.Conv2d(1, 4, (k, 5)) for k in (2, 3, 4)])
        self.dropout, self.fc1 = nn.Dropout(0.5), nn.Linear(12, 3)

    def forward(self, x):
        x = self.embed(x).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
        return self.fc1(self.dropout(torch.cat(x, 1)))


class NewGELU(nn.Module):
    def forward(self, x):
        return (
            0.5
            * x
            * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))
        )


class BertGELU(nn.Module):
    def forward(self, x):
        return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class WrittenMish(nn.Module):
    def forward(self, x):
        return x * torch.tanh(F.softplus(x))


WRITTEN = {
    WrittenHardSwish: nn.Hardswish(),
    NewGELU: nn.GELU("tanh"),
    BertGELU: nn.GELU(),
    WrittenMish: nn.Mish(),
}


class Conv1D(nn.Module):
    """The dense layer of GPT-2, with its weight the other way round."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.outputs, self.weight, self.bias = (
            outputs,
            nn.Parameter(torch.randn(inputs, outputs) / inputs**0.5),
            nn.Parameter(torch.zeros(outputs)),
        )

    def forward(self, x):
        shape = x.size()[:-1] + (self.outputs,)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(shape)


class CausalSelfAttention(nn.Module):
    def __init__(self, dim, heads, length, dense):
        super().__init__()
        self.c_attn, self.c_proj, self.heads = dense(3 * dim, dim), dense(dim, dim), heads
        self.register_buffer(
            "bias", torch.tril(torch.ones(length, length)).view(1, 1, length, length)
        )

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class GPT(nn.Module):
    def __init__(
        self,
        activation=nn.GELU,
        dense=lambda outputs, inputs: nn.Linear(inputs, outputs),
        dim=8,
        length=10,
    ):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(20, dim),
                "wpe": nn.Embedding(length, dim),
                "drop": nn.Dropout(0.1),
                "ln_f": nn.LayerNorm(dim),
            }
        )
        self.h = nn.ModuleList(
            [
                nn.ModuleDict(
                    {
                        "ln_1": nn.LayerNorm(dim),
                        "attn": CausalSelfAttention(dim, 2, length, dense),
                        "ln_2": nn.LayerNorm(dim),
                        "mlp": nn.Sequential(
                            dense(2 * dim, dim), activation(), dense(dim, 2 * dim)
                        ),
                    }
                )
                for _ in range(2)
            ]
        )
        self.lm_head = nn.Linear(dim, 20, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight

    def forward(self, idx):
        b, t = idx.size()
        pos = torch.arange(0, t, dtype=torch.long, device=idx.device).unsqueeze(0)
        x = self.transformer.drop(self.transformer.wte(idx) + self.transformer.wpe(pos))
        for block in self.h:
            x = x + block["attn"](block["ln_1"](x))
            x = x + block["mlp"](block["ln_2"](x))
        return self.lm_head(self.transformer.ln_f(x))[:, -1, :]


# Series, points, graphs, pairs.


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        convs = [
            parametrizations.weight_norm(
                nn.Conv1d(n, outputs, 3, padding=2 * dilation, dilation=dilation)
            )
            for n in (inputs, outputs)
        ]
        self.net = nn.Sequential(
            convs[0],
            Chomp(2 * dilation),
            nn.ReLU(),
            nn.Dropout(0.2),
            convs[1],
            Chomp(2 * dilation),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x):
        return torch.relu(self.net(x) + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.fc = (
            nn.Sequential(*[TemporalBlock(n, 4, 2**k) for k, n in enumerate((2, 4, 4))]),
            nn.Linear(4, 3),
        )

    def forward(self, x):
        return self.fc(self.blocks(x)[..., -1])


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates, a pad on the left and the sum of the skips."""

    def __init__(self):
        super().__init__()
        self.start, self.end = nn.Conv1d(2, 6, 1), nn.Conv1d(6, 3, 1)
        self.filters, self.gates = (
            nn.ModuleList([nn.Conv1d(6, 6, 2, dilation=2**k) for k in range(3)]) for _ in range(2)
        )

    def forward(self, x):
        x, skip = self.start(x), 0
        for k, (f, g) in enumerate(zip(self.filters, self.gates)):
            padded = F.pad(x, (2**k, 0))
            y = torch.tanh(f(padded)) * torch.sigmoid(g(padded))
            skip = y + skip
            x = x + y
        return self.end(F.relu(skip)).mean(-1)


class PointNet(nn.Module):
    def __init__(self, transform=False):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = (
            nn.Conv1d(3, 5, 1),
            nn.BatchNorm1d(5),
            nn.Conv1d(5, 8, 1),
            nn.BatchNorm1d(8),
        )
        self.fc1, self.bn3, self.fc2 = nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.transform = nn.Linear(3, 9) if transform else None

    def forward(self, x):
        if self.transform is not None:
            matrix = self.transform(x.mean(2)).view(-1, 3, 3) + torch.eye(3, dtype=x.dtype)
            x = torch.bmm(x.transpose(2, 1), matrix).transpose(2, 1)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x = torch.max(x, 2, keepdim=True)[0]
        return self.fc2(F.relu(self.bn3(self.fc1(x.view(-1, 8)))))


class GraphConvolution(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.randn(inputs, outputs)),
            nn.Parameter(torch.zeros(outputs)),
        )

    def forward(self, x, adjacency):
        return torch.matmul(adjacency, torch.matmul(x, self.weight)) + self.bias


class GCN(nn.Module):
    def __init__(self, messages="dense"):
        super().__init__()
        adjacency = ((torch.arange(36).reshape(6, 6) * 7) % 5 < 2).float() + torch.eye(6)
        self.register_buffer("adjacency", adjacency / adjacency.sum(1, keepdim=True))
        self.gc1, self.gc2, self.fc, self.messages = (
            GraphConvolution(4, 5),
            GraphConvolution(5, 5),
            nn.Linear(5, 3),
            messages,
        )

    def forward(self, x):
        x = F.dropout(F.relu(self.gc1(x, self.adjacency)), 0.5, training=self.training)
        x = self.gc2(x, self.adjacency) if self.messages == "dense" else self.scattered(x)
        return self.fc(x.sum(dim=1))

    def scattered(self, x):
        target, source = self.adjacency.nonzero(as_tuple=True)
        return torch.zeros_like(x).index_add_(
            1, target, x[:, source] * self.adjacency[target, source, None]
        )


class GraphAttention(nn.Module):
    """Attention among neighbours, after a maximum over the edges to the nearest points."""

    def __init__(self):
        super().__init__()
        self.edge, self.W, self.a, self.b, self.fc = (
            nn.Linear(8, 5),
            nn.Linear(5, 5, bias=False),
            nn.Linear(5, 1),
            nn.Linear(5, 1),
            nn.Linear(5, 3),
        )
        self.register_buffer("adjacency", torch.ones(6, 6).tril() + torch.ones(6, 6).triu(3))

    def forward(self, x):
        B, N, C = x.shape
        squares = torch.sum(x**2, 2, keepdim=True)
        index = (2 * torch.matmul(x, x.transpose(2, 1)) - squares - squares.transpose(2, 1)).topk(
            k=3, dim=-1
        )[1]
        index = (index + torch.arange(B).view(-1, 1, 1) * N).view(-1)
        neighbour, centre = (
            x.reshape(B * N, -1)[index, :].view(B, N, 3, C),
            x.view(B, N, 1, C).repeat(1, 1, 3, 1),
        )
        h = F.leaky_relu(self.edge(torch.cat((neighbour - centre, centre), dim=3)), 0.2).max(dim=2)[
            0
        ]
        h = self.W(h)
        e = F.leaky_relu(self.a(h) + self.b(h).transpose(1, 2), 0.2)
        attention = F.softmax(torch.where(self.adjacency > 0, e, -9e15 * torch.ones_like(e)), dim=2)
        return self.fc(F.elu(torch.matmul(attention, h)).mean(1))


class TimeFirst(nn.Module):
    """The encoder of torch with its default layout; it reads x itself, moved, so that a box rule
    meets several samples at once.
    """

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12)
        self.encoder, self.fc = (
            nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            nn.Linear(8, 3),
        )

    def forward(self, x):
        return self.fc(self.encoder(x.transpose(0, 1)).mean(0))


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.experts = (
            nn.Linear(8, 2),
            nn.ModuleList(
                [nn.Sequential(nn.Linear(8, 6), nn.GELU(), nn.Linear(6, 3)) for _ in range(2)]
            ),
        )

    def forward(self, x):
        weights = F.softmax(self.gate(x), dim=-1)
        return torch.einsum(
            "nk,nkc->nc", weights, torch.stack([expert(x) for expert in self.experts], 1)
        )


class Siamese(nn.Module):
    def __init__(self, join):
        super().__init__()
        self.branch, self.join = (
            nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU()),
            join,
        )
        self.head = nn.Linear(10 if join == "cat" else 5, 2)

    def forward(self, pair):
        a, b = self.branch(pair[:, 0]), self.branch(pair[:, 1])
        return self.head(torch.cat([a, b], dim=1) if self.join == "cat" else self.join(a, b))


class Part(nn.Module):
    """A dense layer, the operation, and a dense layer."""

    def __init__(self, operation, width=6):
        super().__init__()
        self.a, self.b, self.last = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(width, 3)
        self.operation = operation

    def forward(self, x):
        return self.last(self.operation(self.a(x), self.b(x)))


class TalkingHeads(nn.Module):
    """Attention whose heads are mixed before and after the softmax."""

    def __init__(self):
        super().__init__()
        self.qkv, self.before, self.after = nn.Linear(8, 24), nn.Linear(2, 2), nn.Linear(2, 2)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        weights = self.before((q @ k.mT).permute(0, 2, 3, 1)).permute(0, 3, 1, 2).softmax(-1)
        mixed = self.after(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.last((mixed @ v).transpose(1, 2).flatten(2).mean(1))


class LinearAttention(nn.Module):
    """relu(q) (relu(k)^T v), divided by its weights' sum."""

    def __init__(self):
        super().__init__()
        self.qkv, self.last = nn.Linear(8, 24), nn.Linear(8, 3)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.relu(q) + 0.1, F.relu(k) + 0.1
        return self.last((q @ (k.mT @ v) / (q @ k.sum(1, keepdim=True).mT)).mean(1))


class TokenMixing(nn.Module):
    """Weights that stand on the left, or in einsum."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(6, 6))
        self.channels = nn.Parameter(torch.randn(8, 3))

    def forward(self, x):
        x = F.relu(self.tokens @ x)
        return torch.einsum("ntd,dk->nk", x, self.channels)


class GlobalResponseNorm(nn.Module):
    """That of ConvNeXt V2: each channel by its length, next to the mean of all."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(8))
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        x = self.first(x)
        size = x.norm(p=2, dim=1, keepdim=True)
        x = x + torch.addcmul(self.bias, self.weight, x * (size / size.mean(-1, keepdim=True)))
        return self.last(x.mean(1))


# Habits of code.


class Lambda(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class NamedSequential(nn.Sequential):
    def forward(self, input):
        for module in self.children():
            input = module(input)
        return input


class Habits(nn.Module):
    """Buffers that normalise the input, parametrised weights, user's hooks, dropout in training
    mode, lists and dicts of modules.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1))
        self.conv = parametrizations.spectral_norm(
            nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")
        )
        self.body = NamedSequential(
            OrderedDict(
                act=nn.PReLU(4),
                skip=nn.Identity(),
                scale=Lambda(lambda x: x.mul(0.5).add(0.1)),
                drop=nn.Dropout2d(0.3),
                pool=nn.AvgPool2d(2),
            )
        )
        self.heads = nn.ModuleDict(
            {"mean": nn.Linear(4, 3), "max": parametrizations.weight_norm(nn.Linear(4, 3))}
        )
        self.seen = []
        self.body.act.register_forward_hook(
            lambda module, inputs, output: self.seen.append(output.detach().cpu())
        )
        self.body.pool.register_forward_hook(lambda module, inputs, output: output * 2)
        self.heads["mean"].register_forward_pre_hook(
            lambda module, inputs: (inputs[0].clip(-5, 5),)
        )

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = self.body(self.conv(x))
        scores = torch.stack(
            [
                self.heads["mean"](x.mean((-2, -1))),
                self.heads["max"](x.flatten(2).max(dim=-1).values),
            ]
        )
        return torch.sum(scores, 0)


IMAGES, SERIES, POINTS = (3, 3, 16, 16), (3, 2, 12), (3, 3, 7)
WORDS = "words"
ZOO = {
    "resnet, basic blocks": (lambda: ResNet(BasicBlock), (3, 3, 32, 32)),
    "resnet, bottlenecks": (lambda: ResNet(Bottleneck), (3, 3, 32, 32)),
    "resnet, pre-activation": (PreActivationResNet, IMAGES),
    "vgg": (VGG, IMAGES),
    "googlenet": (GoogLeNet, IMAGES),
    "densenet": (DenseNet, IMAGES),
    "mobilenet": (MobileNet, IMAGES),
    "mobilenet, written hard-swish": (lambda: MobileNet(WrittenHardSwish), IMAGES),
    "senet and cbam": (AttentionModules, IMAGES),
    "convnext": (ConvNeXt, IMAGES),
    "u-net": (UNet, IMAGES),
    "segnet": (SegNet, IMAGES),
    "vit": (lambda: VisionTransformer(lambda dim: PreNormBlock(dim, 2)), IMAGES),
    "vit, qkv and @": (lambda: VisionTransformer(lambda dim: HandBlock(dim, 2, False)), IMAGES),
    "vit, einsum": (lambda: VisionTransformer(lambda dim: HandBlock(dim, 2, True)), IMAGES),
    "mixer": (Mixer, IMAGES),
    "3-d": (Video, (3, 2, 4, 8, 8)),
    "gru": (lambda: TextRNN("GRU", "last", False, layers=2), WORDS),
    "gru, time first": (lambda: TextRNN("GRU", "attention", False, time_first=True), WORDS),
    "bilstm, mean and max": (lambda: TextRNN("LSTM", "both", True), WORDS),
    "bilstm, attention": (lambda: TextRNN("LSTM", "attention", True, layers=2), WORDS),
    "bilstm, exponential attention": (lambda: TextRNN("LSTM", "exponential", True), WORDS),
    "kim's text cnn": (KimCNN, WORDS),
    "gpt": (GPT, WORDS),
    "gpt-2": (lambda: GPT(NewGELU, Conv1D), WORDS),
    "gpt, bert's gelu": (lambda: GPT(BertGELU), WORDS),
    "gpt, mish": (lambda: GPT(WrittenMish), WORDS),
    "tcn": (TCN, SERIES),
    "wavenet": (WaveNet, SERIES),
    "pointnet": (PointNet, POINTS),
    "graph": (GCN, (3, 6, 4)),
    "graph, scattered": (lambda: GCN("scattered"), (3, 6, 4)),
    "graph attention": (GraphAttention, (3, 6, 4)),
    "encoder, time first": (TimeFirst, (3, 6, 8)),
    "experts": (Experts, (3, 8)),
    "siamese": (lambda: Siamese("cat"), (3, 2, 4)),
    "siamese, difference": (lambda: Siamese(lambda a, b: a - b), (3, 2, 4)),
    "siamese, absolute difference": (lambda: Siamese(lambda a, b: (a - b).abs()), (3, 2, 4)),
    "siamese, product": (lambda: Siamese(lambda a, b: a * b), (3, 2, 4)),
    "pointnet with a transform": (lambda: PointNet(transform=True), POINTS),
    "swiglu": (lambda: Part(lambda a, b: F.silu(a) * b), (3, 4)),
    "bilinear": (lambda: Part(nn.Bilinear(6, 6, 6)), (3, 4)),
    "another's activation": (lambda: Part(lambda a, b: a * F.relu6(a + b)), (3, 4)),
    "a sum over neurons": (lambda: Part(lambda a, b: a * torch.tanh(a.flip(1))), (3, 4)),
    "powers": (lambda: Part(lambda a, b: a * a * a + b**2 + b.square()), (3, 4)),
    "roots": (lambda: Part(lambda a, b: a.abs().sqrt() + b.relu() ** 0.5), (3, 4)),
    "addcmul": (lambda: Part(lambda a, b: torch.addcmul(a, a, b, value=0.5)), (3, 4)),
    "talking heads": (TalkingHeads, (3, 6, 8)),
    "linear attention": (LinearAttention, (3, 6, 8)),
    "weights in an order of their own": (TokenMixing, (3, 6, 8)),
    "global response norm": (GlobalResponseNorm, (3, 6, 8)),
    "habits": (Habits, IMAGES),
}


def bring(make, shape):
    """A network with nothing left at its trivial first value, in training mode as after training,
    and an input.
    """
    with models.seeded(1):
        model = make().double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.5, 1.5)
        x = (
            torch.randint(1, 20, (3, 9))
            if shape == WORDS
            else torch.rand(shape, dtype=torch.float64) - 0.2 * (shape != IMAGES)
        )
    if shape == WORDS:
        x[0, 6:] = 0
    return model, x


def scores_of(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(x.clone())


@pytest.fixture(params=ZOO)
def brought(request):
    return bring(*ZOO[request.param])


def test_lrp_zero_is_gradient_x_input_of_the_linearised_twin(brought):
    model, x = brought
    torch.testing.assert_close(
        lrp(model, x, 1, Zero()), gradient_x_input_of_the_twin(model, x, 1), rtol=1e-6, atol=1e-9
    )


def test_the_account_closes_for_every_sample(brought):
    model, x = brought
    relevance, layers = lrp(model, x, 1, Zero(), return_layers=True)
    score = scores_of(model, x)[:, 1]
    torch.testing.assert_close(
        relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers), score
    )
    torch.testing.assert_close(relevance, lrp(model, x, 1, Zero()))


@pytest.mark.parametrize("rules", COMPOSITES)
def test_a_composite_gives_finite_relevance_that_does_not_depend_on_the_batch(brought, rules):
    model, x = brought
    relevance, layers = lrp(model, x, None, rules, return_layers=True)
    assert relevance.isfinite().all() and relevance.abs().sum() > 0
    torch.testing.assert_close(
        relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers),
        scores_of(model, x).amax(1),
        rtol=1e-5,
        atol=1e-7,
    )
    torch.testing.assert_close(
        lrp(model, x[1:2], None, rules), relevance[1:2], rtol=1e-5, atol=1e-9
    )


def test_the_network_and_the_input_are_left_as_they_were(brought):
    model, x = brought
    before, given = copy.deepcopy(model.state_dict()), x.clone()
    hooks = [
        [dict(h) for h in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
        for m in model.modules()
    ]
    scores = scores_of(model, x)
    for rules in (Zero(), *COMPOSITES):
        lrp(model, x, 0, rules)
    assert (
        torch.equal(x, given) and not x.requires_grad and all(m.training for m in model.modules())
    )
    assert all(
        torch.equal(value, before[name]) for name, value in model.state_dict().items()
    ) and all(p.grad is None for p in model.parameters())
    assert hooks == [
        [dict(h) for h in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
        for m in model.modules()
    ]
    assert torch.equal(scores_of(model, x), scores)


# Further forms in which one thing is written.


@pytest.mark.parametrize("first", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_loop_over_single_cells_equals_the_layer(kind, first):
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.fc = getattr(nn, kind)(4, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            h = torch.full((1, len(x), 5), first).to(x)
            return self.fc(self.layer(x, (h, h) if kind == "LSTM" else h)[0][:, -1])

    class Loop(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.cell, self.fc = getattr(nn, f"{kind}Cell")(4, 5).double(), layer.fc
            self.cell.load_state_dict(
                {
                    name.removesuffix("_l0"): value
                    for name, value in layer.layer.state_dict().items()
                }
            )

        def forward(self, x):
            h = torch.full((len(x), 5), first).to(x)
            state = (h, h) if kind == "LSTM" else h
            for t in range(x.size(1)):
                state = self.cell(x[:, t], state)
            return self.fc(state[0] if kind == "LSTM" else state)

    model, x = bring(Layer, (3, 6, 4))
    torch.testing.assert_close(lrp(Loop(model), x, 1, Zero()), lrp(model, x, 1, Zero()))


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.long(),
        lambda w: w.contiguous(),
        lambda w: w.clone(),
        lambda w: w.clamp(max=19),
        lambda w: w.t().contiguous().t(),
        lambda w: w.view(3, 3, 3).flatten(1),
        lambda w: F.pad(w, (0, 2), value=0),
        lambda w: torch.cat([torch.ones(3, 1, dtype=torch.long), w], 1),
        lambda w: torch.where(w > 0, w, 1),
        lambda w: w[:, [2, 0, 1, 3, 4, 5, 6, 7, 8]],
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_word_numbers_may_be_moved_and_padded(change, dtype):
    model = nn.Sequential(Lambda(change), nn.EmbeddingBag(20, 3, mode="sum")).to(dtype)
    words = torch.randint(1, 20, (3, 9), generator=torch.Generator().manual_seed(0))
    relevance, layers = lrp(model, words, 2, return_layers=True)
    assert relevance.dtype == dtype and relevance.shape == words.shape
    torch.testing.assert_close(relevance, model[1].weight[words][..., 2].detach())
    torch.testing.assert_close(
        relevance.sum(1) + sum(layer.absorbed for layer in layers), model(words)[:, 2].detach()
    )


def test_word_numbers_read_as_numbers_keep_their_relevance():
    class Numbers(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.words = nn.Linear(9, 3), nn.Embedding(20, 3)

        def forward(self, words):
            return self.fc(words.double()) + self.words(words).sum(1)

    model, words = Numbers().double(), torch.randint(1, 20, (3, 9))
    expected = words * model.fc.weight[2] + model.words.weight[words][..., 2]
    torch.testing.assert_close(lrp(model, words, 2, Zero()), expected.detach())


@pytest.mark.parametrize(
    "spread",
    [
        lambda h, c: h.mean(1, keepdim=True) + c,
        lambda h, c: c - h[:, :1],
        lambda h, c: h[:, 2:3] * c,
        lambda h, c: c * h.sum(1, keepdim=True),
        lambda h, c: h[:, :1] / c,
        lambda h, c: torch.where(c > 0, h[:, :1], c),
        lambda h, c: torch.maximum(h[:, :1], c),
        lambda h, c: (h[:, None] + torch.stack([c, 2 * c])).sum(1),
        lambda h, c: h[:, :1].masked_fill(c > 0, 0.5),
    ],
)
def test_a_signal_that_is_spread_over_a_larger_constant(spread):
    class Spread(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, x):
            return (
                self.last(spread(self.fc(x), torch.linspace(-1, 1.2, 5).to(x)))
                + spread(x, torch.linspace(-1, 1.2, 4).to(x))[:, :3]
            )

    model, x = bring(Spread, (3, 4))
    torch.testing.assert_close(lrp(model, x, 1, Zero()), gradient_x_input_of_the_twin(model, x, 1))


def test_a_convolution_that_is_used_with_and_without_its_batch_normalisation():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, x):
            x = self.conv(x)
            return (F.relu(self.bn(x)) + x).mean((2, 3))

    model, x = bring(Both, IMAGES)
    for rules in (Zero(), Epsilon(0.1), Gamma(0.25), ZPlus(), AlphaBeta(), WSquare(), ZBox(0, 1)):
        relevance, layers = lrp(model, x, 1, rules, return_layers=True)
        torch.testing.assert_close(
            relevance.flatten(1).sum(1) + sum(layer.absorbed for layer in layers),
            scores_of(model, x)[:, 1],
        )


# Refused by name.


REFUSED = {
    "siamese, distance": (
        lambda: Siamese(lambda a, b: F.pairwise_distance(a, b)[:, None].expand(-1, 5)),
        (3, 2, 4),
        "'pairwise_distance'",
    ),
    "product of all": (lambda: Part(lambda a, b: a.prod(1, keepdim=True), 1), (3, 4), "'prod'"),
    "logsumexp": (
        lambda: Part(lambda a, b: torch.logsumexp(torch.stack([a, b]), 0)),
        (3, 4),
        "'logsumexp'",
    ),
    "a power of a signal": (lambda: Part(lambda a, b: 2**a), (3, 4), "'rpow'"),
    "signal to the power of a signal": (lambda: Part(lambda a, b: a.abs() ** b), (3, 4), "'pow'"),
    "scattered product": (
        lambda: Part(lambda a, b: a.scatter_reduce(1, torch.zeros(3, 6).long(), b, "prod")),
        (3, 4),
        "'scatter_reduce'",
    ),
    "prototypes": (
        lambda: Part(lambda a, b: -torch.cdist(a, torch.ones(2, 6).to(a)), 2),
        (3, 4),
        "'cdist'",
    ),
    "one-hot words": (
        lambda: nn.Sequential(
            Lambda(lambda words: F.one_hot(words, 20).double().flatten(1)),
            nn.Linear(180, 3),
            nn.Embedding(1, 1),
        ),
        WORDS,
        "'one_hot'",
    ),
    "numbers of words shifted": (
        lambda: nn.Sequential(Lambda(lambda words: words + 1), nn.EmbeddingBag(30, 3)),
        WORDS,
        "'add'",
    ),
}


@pytest.mark.parametrize(("make", "shape", "name"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_rule_is_refused_by_its_name(make, shape, name):
    with models.seeded(0):
        model = make().double()
        x = (
            torch.randint(1, 20, (3, 9))
            if shape == WORDS
            else torch.rand(shape, dtype=torch.float64)
        )
    with pytest.raises(ValueError, match=f"^model: the operation {name}"):
        lrp(model, x)
