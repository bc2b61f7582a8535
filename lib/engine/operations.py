"""The operations of torch that relevance can pass through, sorted by what happens to it there (see
`lib.engine.tracing`).

Also the few whose statistics or weights are held constant on the way back, and helpers for
arguments and results.
"""

from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PASS = set(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus tanh tanhshrink softsign sigmoid log_sigmoid hardtanh "
    "hardswish hardsigmoid threshold clamp clip clamp_min clamp_max neg negative dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_dropout feature_alpha_dropout contiguous clone to cpu cuda float double half bfloat16 type type_as positive".split()
)
ROUTE = set(
    "reshape reshape_as view view_as flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t T mT adjoint squeeze "
    "unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave chunk split tensor_split unbind getitem narrow "
    "select index_select gather take_along_dim cat concat concatenate stack hstack vstack pad roll flip pixel_shuffle "
    "pixel_unshuffle channel_shuffle unfold max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d max_unpool1d max_unpool2d max_unpool3d max min amax amin maximum minimum sort topk where masked_fill".split()
)
# of those above
SEVERAL = set("cat concat concatenate stack hstack vstack max min maximum minimum where".split())
SHARE = set(
    "add sub subtract rsub sum mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d interpolate upsample cumsum fold index_add scatter_add".split()
)
DENSE = {"linear", "matmul", "mm", "addmm"}
CONVOLUTION = {
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
}
CONSTANT = set(
    (
        "zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones "
        "new_full new_empty new_tensor"
    ).split()
)
CONSTANT |= {"argmax", "argmin", "argsort", "nonzero"}  # positions, not values
PLAIN = {int, float, bool, str, type(None)}  # arguments that hold no tensor


PRODUCT = {"mul", "multiply", "matmul", "mm", "bmm", "einsum"}
QUOTIENT = {"div", "divide", "true_divide", "truediv"}
# what multiplies a signal without being one
GATE = {
    "sigmoid",
    "hardsigmoid",
    "softmax",
    "rsqrt",
    "reciprocal",
    "exp",
    "erf",
}
RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}
TAYLOR = {"local_response_norm"}
ONLY_CALL: dict[
    type, Callable[[Any], tuple]
] = {  # the one call that such a layer makes: its function and what follows its input
    nn.Linear: lambda layer: (F.linear, layer.weight, layer.bias),
    nn.Conv2d: lambda layer: (
        F.conv2d,
        layer.weight,
        layer.bias,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
    ),
    nn.ReLU: lambda layer: (torch.relu,),
    nn.MaxPool2d: lambda layer: (
        torch.max_pool2d,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.ceil_mode,
    ),
    nn.Flatten: lambda layer: (torch.flatten, layer.start_dim, layer.end_dim),
}
ELEMENTWISE = (
    PASS | QUOTIENT | set("add sub subtract rsub mul multiply pow square exp log log1p".split())
)


def altered(layer: nn.Module) -> bool:
    """Whether a call of the layer may do more, or else, than what its type does by default."""
    own = layer.__dict__
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
        or "forward" in own
        or own.get("inplace")
        or own.get("return_indices")
        or own.get("padding_mode", "zeros") != "zeros"
        or own.get("_compiled_call_impl")
    )


def layer_norm(
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation whose standard deviation is a constant on the way back (Ali et al.,
    2022).
    """
    over = tuple(range(-len(shape), 0))
    centred = x - x.mean(over, keepdim=True)
    result = centred * torch.rsqrt(centred.detach().square().mean(over, keepdim=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalisation whose standard deviation is a constant on the way back."""
    grouped = x.reshape(len(x), groups, -1)
    view = (1, -1) + (1,) * (x.dim() - 2)
    result = layer_norm(grouped, grouped.shape[2:], eps=eps).reshape(x.shape)
    result = result if weight is None else result * weight.view(view)
    return result if bias is None else result + bias.view(view)


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalisation, likewise."""
    if not use_input_stats:
        raise ValueError(
            "model: the operation 'instance_norm' with running statistics has no relevance rule"
        )
    return group_norm(x, x.shape[1], weight, bias, eps)


def rms_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Root-mean-square normalisation, likewise."""
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    result = x * torch.rsqrt(
        x.detach().square().mean(tuple(range(-len(shape), 0)), keepdim=True) + eps
    )
    return result if weight is None else result * weight


def normalize(
    x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    """x / |x| with a constant length on the way back."""
    return x / x.detach().norm(p, dim, keepdim=True).clamp(min=eps)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second, a gate."""
    signal, gate = x.chunk(2, dim)
    return signal * torch.sigmoid(gate.detach())


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
) -> Tensor:
    """Attention whose weights are constants on the way back: only the values carry relevance (Ali
    et al., 2022).
    """
    return F.scaled_dot_product_attention(query.detach(), key.detach(), value, *args, **kwargs)


FROZEN = {
    f.__name__: f
    for f in (
        layer_norm,
        group_norm,
        instance_norm,
        rms_norm,
        normalize,
        glu,
        scaled_dot_product_attention,
    )
}


@cache
def opened(function: Callable) -> Callable:
    """The same Python function of torch.nn.functional, but seen through: its body runs and each
    call in it is seen.
    """
    blind = {
        name: lambda *_: False
        for name in function.__globals__
        if name.startswith("has_torch_function")
    }
    copy = FunctionType(
        function.__code__, function.__globals__ | blind, function.__name__, function.__defaults__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def scale_outputs(weight: Tensor, scale: Tensor, operation: str) -> Tensor:
    """The weight with each output channel multiplied by its scale."""
    if operation in ("matmul", "mm", "addmm"):
        return weight * scale
    if not operation.startswith("conv_transpose"):
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    groups = len(scale) // weight.shape[1]  # a transposed weight is (in, out / groups, ...)
    per_input = (
        scale.view(groups, 1, -1)
        .expand(groups, weight.shape[0] // groups, -1)
        .reshape(weight.shape[:2])
    )
    return weight * per_input.view(*weight.shape[:2], *[1] * (weight.dim() - 2))


def hand_written_activation(factors: Sequence[Tensor], steps: Sequence[Any]) -> list[Tensor]:
    """The signal x of a product like x * tanh(softplus(x)): a factor computed from x alone, neuron
    by neuron; else nothing.
    """
    for signal, factor in (factors, factors[::-1]):
        x = signal
        for step in reversed(steps):
            if (
                step.outputs[0] is x
                and len(step.inputs) == 1
                and step.operation in ("mul", "div", "truediv")
            ):
                x = step.inputs[0]  # of 0.5 * x
        alone, active = {id(x)}, set()
        for step in steps:
            if (
                step.operation in ELEMENTWISE
                and step.outputs[0].shape == x.shape
                and all(id(t) in alone for t in step.inputs)
            ):
                alone.add(id(step.outputs[0]))
                if step.operation in PASS or any(id(t) in active for t in step.inputs):
                    active.add(id(step.outputs[0]))
        if id(factor) in active:
            return [signal]
    return []


def owner_of(model: nn.Module, weight: Tensor, operation: str) -> str:
    """The name of the module that owns the weight, else the operation. A function, so that no map
    keeps its tracer alive.
    """
    names = (name for name, parameter in model.named_parameters() if parameter is weight)
    return next(names, operation).rpartition(".")[0] or operation


@cache
def name_of(function: Callable) -> tuple[str, bool]:
    """The plain name of a torch function, and whether it writes over its first argument."""
    name = function.__name__
    if name == "__get__":
        return function.__self__.__name__, False
    plain = name.strip("_").removesuffix("_with_indices")
    if name.startswith("__"):
        in_place = plain[:1] == "i" and plain[1:] in (
            "add",
            "sub",
            "mul",
            "truediv",
            "floordiv",
            "mod",
            "pow",
            "and",
            "or",
            "xor",
            "lshift",
            "rshift",
        )
        if in_place or plain in ("radd", "rmul"):
            plain = plain[1:]
        return plain, in_place
    return plain, name.endswith("_")


def pull(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """c_i = sum_j dz_j/da_i s_j: the message s at z brought back to a, through the graph from a to
    z.
    """
    node = z.grad_fn
    ways = [
        (index, source)
        for index, (source, _) in enumerate(node.next_functions)
        if source is not None
    ]
    if (
        len(ways) == 1 and getattr(ways[0][1], "variable", None) is a
    ):  # one operation: asked directly, without torch's engine
        c = node(s)
        c = c[ways[0][0]] if isinstance(c, tuple) else c
        # after a broadcast; the engine would have done so
        return c if c.shape == a.shape else c.sum_to_size(a.shape)
    # z may be in two graphs: with a batch normalisation and without
    return torch.autograd.grad(z, a, s, retain_graph=True)[0]


def pull_to_all(z: Tensor, leaves: Sequence[Tensor], s: Tensor) -> list[Tensor | None]:
    """The same for several leaves: of one operation on them, a sum or a concatenation, and else by
    torch's engine.
    """
    node = z.grad_fn
    if list(map(id, leaves)) == [
        id(getattr(source, "variable", None)) for source, _ in node.next_functions
    ]:
        return [
            c if c.shape == a.shape else c.sum_to_size(a.shape) for c, a in zip(node(s), leaves)
        ]
    return list(torch.autograd.grad(z, leaves, s, allow_unused=True))


def replace(value: Any, stand_in: dict[int, Any]) -> Any:
    """The same nested lists, tuples and dicts, with other objects in the place of those whose id is
    given.
    """
    if id(value) in stand_in:
        return stand_in[id(value)]
    if type(value) is dict:
        return {key: replace(item, stand_in) for key, item in value.items()}
    if type(value) in (tuple, list) and value and type(value[0]) is not int:
        return type(value)([replace(item, stand_in) for item in value])
    if isinstance(value, tuple) and any(
        id(item) in stand_in for item in value
    ):  # a named tuple: max, topk, sort
        return type(value)([replace(item, stand_in) for item in value])
    return value


def fixed(tensor: Tensor | None) -> Tensor | None:
    """The tensor without its graph; itself where it has none, which is quicker."""
    return tensor.detach() if tensor is not None and tensor.requires_grad else tensor


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a value, also within lists and tuples."""
    if isinstance(value, Tensor):
        return [value]
    return [t for item in value for t in tensors(item)] if isinstance(value, (tuple, list)) else []


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors in the same memory have an element in common."""
    taken = torch.zeros(a.untyped_storage().nbytes() // a.element_size(), dtype=torch.bool)
    taken.as_strided(a.shape, a.stride(), a.storage_offset())[...] = True
    return bool(taken.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def carries_values(result: Any) -> bool:
    """Whether a result holds numbers computed from x, which relevance would have to follow."""
    if isinstance(result, (tuple, list)):
        return any(carries_values(item) for item in result)
    if isinstance(result, Tensor):
        return result.dtype != torch.bool
    return not (
        result is None
        or isinstance(result, (bool, int, str, torch.dtype, torch.device, torch.layout))
    )
