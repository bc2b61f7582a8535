"""The same methods in Captum, Zennit and LXT."""

from collections.abc import Callable

import lxt.explicit.functional as lxt
import torch
from by_lxt import attention, dense, feed_forward, norm
from captum.attr import LRP as CaptumLRP
from captum.attr import IntegratedGradients
from captum.attr._utils.lrp_rules import EpsilonRule
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F
from zennit.attribution import Gradient
from zennit.attribution import IntegratedGradients as ZennitIntegratedGradients
from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
from zennit.composites import (
    EpsilonAlpha2Beta1,
    EpsilonGammaBox,
    EpsilonPlus,
    LayerMapComposite,
    layer_map_base,
)
from zennit.layer import Sum
from zennit.rules import Epsilon as ZennitEpsilon
from zennit.types import Linear as ZennitLinear

from lib.models.pictures import InvertedResidual

Method = Callable[[nn.Module, Tensor], Tensor]

# ---------------------------------------------------------------- Zennit


def highest(scores: Tensor) -> Tensor:
    """Where Zennit starts: the highest score in its place, zeros elsewhere."""
    index = scores.argmax(1, keepdim=True)
    return torch.zeros_like(scores).scatter_(1, index, scores.gather(1, index))


def zennit(composite: object) -> Method:
    def explain(model: nn.Module, x: Tensor) -> Tensor:
        with Gradient(model, composite) as attributor:
            return attributor(x, highest)[1]

    return explain


def zennit_integrated(steps: int) -> Method:
    def explain(model: nn.Module, x: Tensor) -> Tensor:
        with ZennitIntegratedGradients(model, n_iter=steps) as attributor:
            return attributor(x, lambda scores: highest(scores).sign())[1]

    return explain


def of_bottleneck(block: Bottleneck, x: Tensor) -> Tensor:
    beside = x if block.downsample is None else block.downsample(x)
    x = block.act1(block.bn1(block.conv1(x)))
    x = block.aa(block.act2(block.drop_block(block.bn2(block.conv2(x)))))
    x = block.bn3(block.conv3(x))
    return block.act3(block.summed(torch.stack([x, beside], -1)))


def of_inverted_residual(block: InvertedResidual, x: Tensor) -> Tensor:
    y = block.project(block.depthwise(block.expand(x)))
    return block.summed(torch.stack([x, y], -1)) if block.adds else y


FORWARDS = {Bottleneck: of_bottleneck, InvertedResidual: of_inverted_residual}


def with_sum(name: str, module: nn.Module) -> dict[str, object] | None:
    """What Zennit needs of a residual block: a module in the place of the +, which would hand the
    whole relevance to both summands.
    """
    forward = FORWARDS.get(type(module))
    return forward and {"forward": forward.__get__(module), "summed": Sum()}


def canonizers() -> list[CompositeCanonizer]:
    """Those of Zennit's ResNet, for the blocks of these networks."""
    return [CompositeCanonizer((SequentialMergeBatchNorm(), AttributeCanonizer(with_sum)))]


def zennit_rules(low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> dict[str, Method]:
    """By the names of ours; low and high are the bounds of x."""
    linear = [*layer_map_base(), (ZennitLinear, ZennitEpsilon())]
    return {
        "epsilon": zennit(LayerMapComposite(linear, canonizers=canonizers())),
        "epsilon_plus": zennit(EpsilonPlus(canonizers=canonizers())),
        "epsilon_gamma_box": zennit(EpsilonGammaBox(low, high, canonizers=canonizers())),
        "epsilon_alpha2_beta1": zennit(EpsilonAlpha2Beta1(canonizers=canonizers())),
    }


# ---------------------------------------------------------------- Captum


def captum_epsilon(model: nn.Module, x: Tensor) -> Tensor:
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.MaxPool2d)):
            module.rule = EpsilonRule(1e-6)
        elif isinstance(module, nn.Flatten):
            module.rule = EpsilonRule(0)
    return CaptumLRP(model).attribute(x.requires_grad_(), target=model(x).argmax(1))


def captum_integrated(steps: int) -> Method:
    return lambda model, x: IntegratedGradients(model).attribute(
        x, target=model(x).argmax(1), n_steps=steps
    )


# ---------------------------------------------------------------- LXT


def patches(embedding: nn.Module, x: Tensor) -> Tensor:
    """LXT has no convolution: one that reads each patch once is a dense layer."""
    convolution = embedding.proj
    cut = F.unfold(x, convolution.kernel_size, stride=convolution.stride).transpose(1, 2)
    return lxt.linear_epsilon(cut, convolution.weight.flatten(1), convolution.bias)


def lxt_forward(model: nn.Module, x: Tensor) -> Tensor:
    """timm's vision transformer in LXT's functions."""
    h = patches(model.patch_embed, x)
    first = model.cls_token.expand(len(x), -1, -1)
    h = lxt.add2(torch.cat([first, h], 1), model.pos_embed)
    for block in model.blocks:
        parts = block.attn
        inner = attention(parts.qkv, parts.proj, parts.num_heads, norm(block.norm1, h))
        h = lxt.add2(h, inner)
        h = lxt.add2(h, feed_forward(block.mlp.fc1, block.mlp.fc2, norm(block.norm2, h)))
    return dense(model.head, norm(model.norm, h)[:, 0])


def lxt_attn(model: nn.Module, x: Tensor) -> Tensor:
    """AttnLRP (Achtibat et al., 2024) by its authors' library."""
    leaf = x.detach().requires_grad_()
    scores = lxt_forward(model, leaf)
    return torch.autograd.grad(scores, leaf, highest(scores.detach()))[0]
