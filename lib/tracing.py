"""The forward pass written down, so that relevance can be sent back through it, one operation at a time.

While the model runs, `Tracer` sees every call of a torch function, whether it comes from a module, from a module used
twice or from plain code, and writes a `Step` for it. An operation belongs to one of four families:

- pass:   one neuron in, one neuron out (ReLU and its relatives, dropout, a factor). Relevance passes unchanged.
- route:  each output is one of the inputs (reshape, concatenation, maximum pooling). Relevance goes where it came from.
- share:  each output is a fixed weighted sum of inputs (average pooling, residual sum). Relevance is shared in proportion.
- linear: z = a w + b with weights of the model. Its rule decides.

Anything else is refused by name: nothing is silently wrong. An operation in place is written down, not done, so that
what it would write over survives; and a tensor that comes from calls out of sight (scripted code) is refused too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

PASS = set(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus tanh tanhshrink softsign sigmoid log_sigmoid hardtanh "
    "hardswish hardsigmoid threshold clamp clamp_min neg negative dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_dropout feature_alpha_dropout contiguous clone to float double half bfloat16 type type_as positive".split()
)
ROUTE = set(
    "reshape reshape_as view view_as flatten unflatten ravel permute transpose swapaxes swapdims movedim moveaxis t T mT adjoint squeeze "
    "unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave chunk split tensor_split unbind getitem narrow "
    "select index_select gather take_along_dim cat concat concatenate stack hstack vstack pad roll flip pixel_shuffle "
    "pixel_unshuffle channel_shuffle unfold max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d max min amax amin maximum minimum sort topk where masked_fill".split()
)
SEVERAL = set("cat concat concatenate stack hstack vstack max min maximum minimum where".split())  # of those above
SHARE = set(
    "add sub subtract rsub sum mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d interpolate upsample cumsum fold".split()
)
DENSE = {"linear", "matmul", "mm"}
CONVOLUTION = {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
CONSTANT = set("zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full new_empty new_tensor".split())
CONSTANT |= {"argmax", "argmin", "argsort", "nonzero"}  # positions, not values


@dataclass(eq=False)
class Step:
    """One operation of the forward pass: from `inputs` to `outputs`.

    `leaves` are the inputs and `results` the outputs of a small graph of their own, through which `pull` goes back.
    """

    operation: str
    family: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    leaves: list[Tensor] = field(default_factory=list)
    results: list[Tensor] = field(default_factory=list)
    linear: "LinearMap | None" = None
    rule: Any = None

    def pull(self, messages: list[Tensor | None]) -> list[Tensor | None]:
        """For each leaf a: sum_j dz_j/da message_j, where a message is None if no relevance reached that output."""
        if len(self.leaves) == len(self.results) == 1:
            return [pull(self.results[0], self.leaves[0], messages[0])]
        pairs = [(z, m) for z, m in zip(self.results, messages) if m is not None]
        return list(torch.autograd.grad([z for z, _ in pairs], self.leaves, [m for _, m in pairs], allow_unused=True))


@dataclass(eq=False)
class LinearMap:
    """One linear map z = a w + b, as its rule sees it: a dense layer or a convolution of any kind.

    `apply(a, w, b)` computes the map with other inputs or weights; `z` is the stored output, with its graph to `a`.
    `index` counts the linear maps in the order in which they run; `reads_input` is true where a is the network's input x,
    `nonnegative` where a is known to be >= 0 (after a ReLU, say; if false it may be so all the same).
    A rule that computes z in parts (`forward`) keeps them in `parts`.
    """

    owner: Callable[[], str]
    kind: str
    index: int
    reads_input: bool
    nonnegative: bool
    a: Tensor
    weight: Tensor
    bias: Tensor | None
    apply: Callable[..., Tensor]
    z: Tensor | None = None
    parts: tuple[Tensor, Tensor] | None = None

    @property
    def name(self) -> str:
        """The module that owns the weight, else the operation."""
        return self.owner()


class Tracer(TorchFunctionMode):
    """Within its `with` block, each call on a tensor that depends on x becomes a step: `steps`, in the order of the calls."""

    def __init__(self, model: nn.Module, x: Tensor, rule_of: Callable[[LinearMap], Any]) -> None:
        super().__init__()
        self._rule_of = rule_of
        self.steps: list[Step] = []
        self._model = model
        self._traced: dict[int, Tensor] = {id(x): x}  # the tensors that depend on x; holding them keeps their ids unique
        self._raw: set[int] = {id(x)}  # x itself, or x in another shape
        self._nonnegative: set[int] = set()
        self._replaced: dict[int, Tensor] = {}  # what an in-place operation would have written over
        self._kept: dict[int, list[Tensor]] = {}  # those themselves, by their memory, which must stay theirs
        self._constants: dict[int, Tensor] = {}  # what was met that does not depend on x, so far as is seen
        self._made: dict[int, Tensor] = {}  # what calls that were seen have made without x
        self._count = 0
        self._maps: dict[int, LinearMap] = {}  # by the id of the output, for a batch normalisation that follows

    def latest(self, tensor: Any) -> Any:
        """The tensor that in-place operations have made of this one; the others stand for themselves."""
        return self._replaced.get(id(tensor), tensor)

    def _overwrite(self, tensor: Tensor, output: Tensor) -> None:
        """From now on whoever uses the tensor means the output."""
        self._kept.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
        self._replaced |= {key: output for key, current in self._replaced.items() if current is tensor} | {id(tensor): output}

    def _inputs(self, values: Iterable[Any]) -> list[Tensor]:
        """The tensors among these arguments, also within lists, that depend on x."""
        found = []
        for value in values:
            if id(value) in self._traced:
                found.append(value)
            elif isinstance(value, Tensor) and type(value) is not nn.Parameter:
                self._constants[id(value)] = value
            elif isinstance(value, (tuple, list)):
                found += self._inputs(value)
        return found

    def depends_on_input(self, tensor: Tensor) -> bool:
        return id(tensor) in self._traced

    def origin_unknown(self) -> list[Tensor]:
        """Constants that neither come from a call that was seen nor are buffers of the model."""
        unknown = [t for key, t in self._constants.items() if key not in self._made]
        return [t for t in unknown if all(t is not buffer for buffer in self._model.buffers())]

    def _constant_result(self, result: Any) -> Any:
        self._made.update((id(t), t) for t in _tensors(result))
        return result

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if self._replaced:
            args, kwargs = _replace(args, self._replaced), _replace(kwargs, self._replaced)
            self._refuse_stale([*_tensors(args), *_tensors(list(kwargs.values()))])
        inputs = self._inputs(args)
        if kwargs:
            inputs += self._inputs(kwargs.values())
        if not inputs:
            return self._constant_result(function(*args, **kwargs))
        name, in_place = _name(function)
        if kwargs.get("out") is not None:
            raise ValueError(f"model: the operation {name!r} with out=... has no relevance rule")
        if name in CONVOLUTION or name in DENSE:
            return self._linear(name, function, args, kwargs)
        if name == "batch_norm":
            return self._batch_norm(function, args, kwargs)
        if name in ("mul", "multiply", "div", "divide", "true_divide", "truediv"):
            return self._scale(name, in_place, function, args, kwargs, inputs)
        if name in PASS:
            return self._pass(name, in_place, function, args, kwargs, inputs)
        if name in ROUTE:
            return self._graph("route", name, in_place, function, args, kwargs, inputs)
        if name in SHARE:
            return self._graph("share", name, in_place, function, args, kwargs, inputs)
        return self._constant(name, in_place, function, args, kwargs, inputs)

    def _refuse_stale(self, tensors: list[Tensor]) -> None:
        """An in-place operation was written down, not done: whoever shares that memory does not know of it."""
        for tensor in tensors:
            if any(_overlap(tensor, written) for written in self._kept.get(tensor.untyped_storage().data_ptr(), ())):
                raise ValueError("model: a tensor that was changed in place through a view of it is used again; this cannot be followed")

    def _constant(self, name: str, in_place: bool, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]) -> Any:
        """Shapes, comparisons and the like carry no relevance; whatever else is not known is refused."""
        if not in_place and name not in ("setitem", "set", "delitem", "int", "index"):
            result = function(*args, **kwargs)
            if (name in CONSTANT and len(inputs) == 1) or not _carries_values(result):
                return self._constant_result(result)
        hint = ": explain the logits" if "softmax" in name else ""
        raise ValueError(f"model: the operation {name!r} has no relevance rule{hint}")

    def _record(self, step: Step, keeps: tuple[set[int], ...] = ()) -> None:
        """Add the step; what is true of all its inputs is true of its outputs, for the sets in `keeps`."""
        self.steps.append(step)
        for output in step.outputs:
            self._traced[id(output)] = output
        for known in keeps:
            if all(id(t) in known for t in step.inputs):
                known.update(map(id, step.outputs))

    def _pass(self, name: str, in_place: bool, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]) -> Tensor:
        if name in ("to", "type_as") and args[0] is not inputs[0]:  # a constant of the other's dtype
            return self._constant_result(function(*args, **kwargs))
        if (args and args[0] is not inputs[0]) or len(inputs) > 1:
            raise ValueError(f"model: the operation {name!r} of several tensors that depend on x has no relevance rule")
        a = source = inputs[0]
        may_write = in_place or (len(args) > 1 and any(item is True for item in args)) or bool(kwargs.get("inplace"))
        if may_write:  # the stored activation must survive an in-place call
            source = a.clone()
            args, kwargs = _replace(args, {id(a): source}), _replace(kwargs, {id(a): source})
        output = function(*args, **kwargs)
        if output is source and not may_write:
            return output
        if not (isinstance(output, Tensor) and output.is_floating_point()):  # float(a), a.to(torch.long), a.type()
            return self._constant(name, False, lambda *_, **__: output, args, kwargs, inputs)
        self._record(Step(name, "pass", [a], [output]), (self._raw, self._nonnegative) if name.startswith("dropout") else ())
        if name in ("relu", "relu6", "sigmoid"):
            self._nonnegative.add(id(output))
        if output is source:
            self._overwrite(a, output)
        return output

    def _scale(self, name: str, in_place: bool, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]) -> Tensor:
        """A product with a constant passes relevance on; a product of two signals has no rule here."""
        if len(inputs) > 1 or (name not in ("mul", "multiply") and args[0] is not inputs[0]):
            raise ValueError(f"model: the operation {name!r} of two tensors that depend on x has no relevance rule")
        if kwargs.get("rounding_mode"):
            raise ValueError(f"model: the operation {name!r} with rounding has no relevance rule")
        return self._graph("share", name, in_place, function, args, kwargs, inputs)

    def _graph(self, family: str, name: str, in_place: bool, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]) -> Any:
        """Run the operation in a small graph of its own, so that torch knows the way back."""
        others = name in SEVERAL and len(inputs) < len(_tensors(args))  # constants among the values
        inputs = list({id(t): t for t in inputs}.values())
        leaves = [t.detach().requires_grad_() for t in inputs]
        stand_in = dict(zip(map(id, inputs), leaves))
        written = args[0] if in_place else None
        with torch.enable_grad():
            if in_place:
                args = (stand_in.get(id(written), written) * 1, *args[1:])
            result = function(*_replace(args, stand_in), **(_replace(kwargs, stand_in) if kwargs else kwargs))
        if result is leaves[0]:  # nothing was done: flatten of a matrix, say
            return inputs[0]
        results = [t for t in ([result] if isinstance(result, Tensor) else _tensors(result)) if t.requires_grad]
        if not results:  # x gave no more than its shape
            return self._constant_result(result)
        outputs = [t.detach() for t in results]
        keeps = () if family == "share" else (self._raw,) if others or name in ("pad", "masked_fill") else (self._raw, self._nonnegative)
        self._record(Step(name, family, inputs, outputs, leaves, results), keeps)
        if in_place:
            self._overwrite(written, outputs[0])
        if result is results[0]:
            return outputs[0]
        self._constant_result([t for t in _tensors(result) if not t.requires_grad])  # the positions of maxima
        return _replace(result, dict(zip(map(id, results), outputs)))

    def _linear(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        second = "other" if name == "matmul" else "mat2" if name == "mm" else "weight"
        named = dict(zip(("input", second, "bias"), args)) | kwargs
        a, weight, bias = named.pop("input"), named.pop(second), named.pop("bias", None)
        if not self.depends_on_input(a) or any(self.depends_on_input(t) for t in (weight, bias) if t is not None):
            raise ValueError(f"model: the operation {name!r} with weights that depend on x has no relevance rule")

        def apply(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            if name in ("matmul", "mm"):
                return function(a, weight) if bias is None else function(a, weight) + bias  # of a batch normalisation
            return function(a, weight, bias, *args[3:], **named)

        layer = LinearMap(lambda: self._owner(weight, name), "convolution" if name in CONVOLUTION else "dense", self._count,
                          id(a) in self._raw, id(a) in self._nonnegative, a.detach().requires_grad_(), weight.detach(),
                          None if bias is None else bias.detach(), apply)
        self._count += 1
        rule = self._rule_of(layer)
        if isinstance(rule, type) or not hasattr(rule, "propagate"):
            raise TypeError(f"rules: expected a rule for the layer {layer.name!r}, got {rule!r}")
        with torch.enable_grad():
            layer.z = rule.forward(layer) if hasattr(rule, "forward") else apply(layer.a, layer.weight, layer.bias)
        return self._record_linear(layer, rule, name, a)

    def _owner(self, weight: Tensor, operation: str) -> str:
        names = (name for name, parameter in self._model.named_parameters() if parameter is weight)
        return next(names, operation).rpartition(".")[0] or operation

    def _record_linear(self, layer: LinearMap, rule: Any, operation: str, a: Tensor) -> Tensor:
        output = layer.z.detach()
        self._record(Step(operation, "linear", [a], [output], linear=layer, rule=rule))
        self._maps[id(output)] = layer
        return output

    def _batch_norm(self, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        """In evaluation mode z -> scale z + shift: with the linear map before it, one linear map; alone, a factor."""
        named = dict(zip(("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"), args)) | kwargs
        z, mean, variance = named["input"], named["running_mean"], named["running_var"]
        if mean is None or variance is None or named.get("training") or function is not F.batch_norm:
            raise ValueError("model: the operation 'batch_norm' with the statistics of the batch has no relevance rule")
        before = self._maps.get(id(z))
        if before is None or (before.kind == "dense" and z.dim() > 2):
            return self._pass("batch_norm", False, function, args, kwargs, [z])
        scale = torch.rsqrt(variance + named.get("eps", 1e-5))
        scale = (scale if named.get("weight") is None else scale * named["weight"]).detach()
        shift = (-mean * scale if named.get("bias") is None else named["bias"] - mean * scale).detach()
        bias = shift if before.bias is None else shift + scale * before.bias
        with torch.enable_grad():
            view = (1, -1) + (1,) * (z.dim() - 2)
            normalised = before.z * scale.view(view) + shift.view(view)
        step = next(s for s in self.steps if s.linear is before)
        layer = LinearMap(before.owner, before.kind, before.index, before.reads_input, before.nonnegative, before.a,
                          _scaled(before.weight, scale, step.operation.partition("+")[0]), bias, before.apply, normalised)
        return self._record_linear(layer, step.rule, f"{step.operation}+batch_norm", step.inputs[0])


def pull(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """c_i = sum_j dz_j/da_i s_j: the message s at z brought back to a, through the graph from a to z."""
    node = z.grad_fn
    ways = [(index, source) for index, (source, _) in enumerate(node.next_functions) if source is not None]
    if len(ways) == 1 and getattr(ways[0][1], "variable", None) is a:  # one operation: asked directly, without torch's engine
        result = node(s)
        return result[ways[0][0]] if isinstance(result, tuple) else result
    return torch.autograd.grad(z, a, s)[0]


def trace(model: nn.Module, x: Tensor, rule_of: Callable[[LinearMap], Any]) -> tuple[Tensor, list[Step]]:
    """The scores model(x) and the steps that lead to them, each linear map with its rule. Run it within `torch.no_grad()`.

    Raises ValueError if the scores do not depend on x, or in part through operations that are not seen.
    """
    with Tracer(model, x, rule_of) as tracer:
        scores = tracer.latest(model(x))
    if isinstance(scores, Tensor) and not tracer.depends_on_input(scores):
        raise ValueError("model: its scores do not depend on x through operations that can be followed")
    if unknown := tracer.origin_unknown():  # rare: what was there before is the same object in a second run
        with Tracer(model, x, rule_of) as again:
            model(x)
        if any(id(t) not in again._constants for t in unknown):
            raise ValueError("model: a part of it (scripted code, say) computes with tensors out of sight; this cannot be followed")
    return scores, tracer.steps


def _scaled(weight: Tensor, scale: Tensor, operation: str) -> Tensor:
    """The weight with each output channel multiplied by its scale."""
    if operation in ("matmul", "mm"):
        return weight * scale
    if not operation.startswith("conv_transpose"):
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    groups = len(scale) // weight.shape[1]  # a transposed weight is (in, out / groups, ...)
    per_input = scale.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1).reshape(weight.shape[:2])
    return weight * per_input.view(*weight.shape[:2], *[1] * (weight.dim() - 2))


@lru_cache(maxsize=None)
def _name(function: Callable) -> tuple[str, bool]:
    """The plain name of a torch function, and whether it writes over its first argument."""
    name = function.__name__
    if name == "__get__":
        return function.__self__.__name__, False
    plain = name.strip("_").removesuffix("_with_indices")
    if name.startswith("__"):
        in_place = plain[:1] == "i" and plain[1:] in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")
        if in_place or plain in ("radd", "rmul"):
            plain = plain[1:]
        return plain, in_place
    return plain, name.endswith("_")


def _replace(value: Any, stand_in: dict[int, Any]) -> Any:
    """The same nested lists, tuples and dicts, with other objects in the place of those whose id is given."""
    if id(value) in stand_in:
        return stand_in[id(value)]
    if type(value) is dict:
        return {key: _replace(item, stand_in) for key, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)([_replace(item, stand_in) for item in value])
    if isinstance(value, tuple) and any(id(item) in stand_in for item in value):  # a named tuple: max, topk, sort
        return type(value)([_replace(item, stand_in) for item in value])
    return value


def _tensors(value: Any) -> list[Tensor]:
    """The tensors in a value, also within lists and tuples."""
    if isinstance(value, Tensor):
        return [value]
    return [t for item in value for t in _tensors(item)] if isinstance(value, (tuple, list)) else []


def _overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors in the same memory have an element in common."""
    taken = torch.zeros(a.untyped_storage().nbytes() // a.element_size(), dtype=torch.bool)
    taken.as_strided(a.shape, a.stride(), a.storage_offset())[...] = True
    return bool(taken.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def _carries_values(result: Any) -> bool:
    """Whether a result holds numbers computed from x, which relevance would have to follow."""
    if isinstance(result, (tuple, list)):
        return any(_carries_values(item) for item in result)
    if isinstance(result, Tensor):
        return result.dtype != torch.bool
    return not (result is None or isinstance(result, (bool, int, str, torch.dtype, torch.device, torch.layout)))
