"""The operations of torch that relevance can pass through, sorted into families by what happens to
it there (see `lib.engine.tracing`).
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frozen import FROZEN
from .recurrent import CELLS


def _names(text: str) -> set[str]:
    return set(text.split())


PASS = _names("""
    relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus tanh tanhshrink softsign
    sigmoid log_sigmoid hardtanh hardswish hardsigmoid hardshrink softshrink threshold clamp clip
    clamp_min clamp_max neg negative positive abs square pow sqrt dropout dropout1d dropout2d
    dropout3d alpha_dropout feature_dropout feature_alpha_dropout contiguous clone to cpu cuda float
    double half bfloat16 type type_as
""")
ROUTE = _names("""
    reshape reshape_as view view_as flatten unflatten ravel permute transpose swapaxes swapdims
    movedim moveaxis t T mT adjoint squeeze unsqueeze expand expand_as broadcast_to repeat tile
    repeat_interleave chunk split tensor_split unbind getitem narrow select index_select gather
    take_along_dim cat concat concatenate stack hstack vstack pad roll flip pixel_shuffle
    pixel_unshuffle channel_shuffle unfold max_pool1d max_pool2d max_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d max_unpool1d max_unpool2d max_unpool3d max min amax amin
    fractional_max_pool2d fractional_max_pool3d pack_padded_sequence pad_packed_sequence maximum
    minimum sort topk where masked_fill index_fill index_put index_copy scatter masked_scatter
    slice_scatter select_scatter
""")
SHARE = _names("""
    add sub subtract rsub sum mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d interpolate upsample cumsum fold index_add scatter_add
""")
DENSE = _names("linear matmul mm addmm")
CONVOLUTION = _names("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d")
PRODUCT = _names("mul multiply matmul mm bmm mv dot inner outer tensordot einsum bilinear")
QUOTIENT = _names("div divide true_divide truediv")
RECURRENT = _names("lstm gru rnn_tanh rnn_relu")


def _addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Tensor:
    return input + tensor1 * tensor2 * value


def _addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, value: float = 1) -> Tensor:
    return input + tensor1 / tensor2 * value


def _baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    return torch.bmm(batch1, batch2) * alpha + input * beta


def _lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return input + (end - input) * weight


# Calls written out, so that each operation in them is followed.
WRITTEN_OUT: dict[str, Callable[..., Any]] = CELLS | {
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "baddbmm": _baddbmm,
    "lerp": _lerp,
}

# matmul and mm are in PRODUCT and in DENSE: the later entry counts, and its handler hands products
# of two signals back.
FAMILY = {
    name: family
    for family, names in (
        ("pass", PASS),
        ("route", ROUTE),
        ("share", SHARE),
        ("product", PRODUCT),
        ("quotient", QUOTIENT),
        ("linear", DENSE | CONVOLUTION),
        ("batch norm", {"batch_norm"}),
        ("frozen", set(FROZEN)),
        ("taylor", _names("local_response_norm lp_pool1d lp_pool2d lp_pool3d")),
        ("scatter", {"scatter_reduce"}),
        ("setitem", {"setitem", "copy"}),
        ("softmax", {"softmax"}),
        ("recurrent", RECURRENT),
        ("embedding", {"embedding", "embedding_bag"}),
        ("written out", {*WRITTEN_OUT, "multi_head_attention_forward"}),
    )
    for name in names
}

# Routes that may take several tensors, among them constants.
SEVERAL = _names("cat concat concatenate stack hstack vstack max min maximum minimum where")
# Routes that put other values in some places.
FILLED = _names("""
    pad masked_fill index_fill index_put index_copy scatter masked_scatter slice_scatter
    select_scatter setitem copy
""")
# What multiplies a signal without being one.
GATE = _names("""
    sigmoid hardsigmoid softmax rsqrt reciprocal rdiv exp expm1 rpow pow erf div divide true_divide
    truediv norm vector_norm linalg_vector_norm linalg_norm std var
""")
# Those of them that may carry relevance themselves; the others measure the size of a signal.
OPEN_GATE = _names("sigmoid hardsigmoid softmax")
# Weighted sums with the same weights for every x, all of one sign: bounds of x go through them as x
# does.
MONOTONE = _names("""
    add sub subtract rsub mul multiply div divide true_divide truediv batch_norm mean sum
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    interpolate upsample
""")
# What uses no more of x than its shape, and positions, which are no values.
CONSTANT = _names("""
    zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full
    new_empty new_tensor argmax argmin argsort nonzero
""")
# Functions of single neurons, of which activations are written by hand.
ELEMENTWISE = PASS | QUOTIENT | _names("add sub subtract rsub mul multiply exp log log1p")
# Arguments that hold no tensor.
PLAIN = {int, float, bool, str, type(None)}

# The one call that a plain layer makes: its function, and what follows its input.
ONLY_CALL: dict[type, Callable[[Any], tuple]] = {
    nn.Linear: lambda m: (F.linear, m.weight, m.bias),
    nn.Conv2d: lambda m: (
        *(F.conv2d, m.weight, m.bias),
        *(m.stride, m.padding, m.dilation, m.groups),
    ),
    nn.ReLU: lambda m: (torch.relu,),
    nn.MaxPool2d: lambda m: (
        *(torch.max_pool2d, m.kernel_size, m.stride),
        *(m.padding, m.dilation, m.ceil_mode),
    ),
    nn.Flatten: lambda m: (torch.flatten, m.start_dim, m.end_dim),
}


def altered(layer: nn.Module) -> bool:
    """Whether a call of the layer may do more, or else, than what its type does by default."""
    own = layer.__dict__
    return (
        any(map(own.__getitem__, HOOKS))
        or any(map(own.get, CHANGES))
        or own.get("padding_mode", "zeros") != "zeros"
    )


HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
CHANGES = "forward", "inplace", "return_indices", "_compiled_call_impl"
IN_PLACE_OPERATORS = _names("add sub mul truediv floordiv mod pow and or xor lshift rshift")


@cache
def name_of(function: Any) -> tuple[str, bool]:
    """The plain name of a torch function, and whether it writes over its first argument.

    >>> name_of(torch.Tensor.__iadd__), name_of(torch.relu_), name_of(torch.max_pool2d)
    (('add', True), ('relu', True), ('max_pool2d', False))
    """
    name = function.__name__
    if name == "__get__":
        return function.__self__.__name__, False
    plain = name.strip("_").removesuffix("_with_indices")
    if not name.startswith("__"):
        return plain, name.endswith("_")
    in_place = plain[:1] == "i" and plain[1:] in IN_PLACE_OPERATORS
    return (plain[1:] if in_place or plain in ("radd", "rmul") else plain), in_place
