"""The forward pass written down, so that relevance can be sent back through it, one operation at a
time.

While the model runs, `Tracer` sees every call of a torch function, whether it comes from a module,
from a module used twice or from plain code, and writes a `Step` for it. An operation belongs to a
family:

- pass:      one neuron in, one neuron out (ReLU and its relatives, dropout). Relevance passes
  unchanged.
- route:     each output is one of the inputs (reshape, concatenation, maximum pooling). Relevance
  goes where it came from.
- share:     each output is a weighted sum of inputs with weights held constant (average pooling,
             residual sum, a signal times a gate, x times a function of x alone, a signal by its
             norm, values weighed by attention). Relevance is shared in proportion; added constants
             keep their part.
- linear:    z = a w + b with weights of the model. Its rule decides.
- taylor:    shared in proportion to input x gradient (local response normalisation; Binder et al.,
  2016).
- recurrent: LSTM, GRU and Elman layers and cells, in `lib.engine.recurrent`.
- embedding: the relevance of a word is the sum of that of its vector.
- refused:   no rule. No error as long as no relevance arrives there (inside a gate, say); otherwise
  refused by name.

Nothing is silently wrong. An operation in place is written down, not done, so that
what it would write over survives; and a tensor that comes from calls out of sight (scripted code)
is refused too.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .operations import (
    CONSTANT,
    CONVOLUTION,
    DENSE,
    FROZEN,
    GATE,
    ONLY_CALL,
    PASS,
    PLAIN,
    PRODUCT,
    QUOTIENT,
    RECURRENT,
    ROUTE,
    SEVERAL,
    SHARE,
    TAYLOR,
    altered,
    carries_values,
    fixed,
    hand_written_activation,
    name_of,
    opened,
    overlap,
    owner_of,
    replace,
    scale_outputs,
    tensors,
)
from .recurrent import CELLS, recurrence
from .steps import LinearMap, Step


class Tracer(TorchFunctionMode):
    """Within its `with` block, each call on a tensor that depends on x becomes a step: `steps`, in
    the order of the calls.
    """

    def __init__(self, model: nn.Module, x: Tensor, rule_of: Callable[[LinearMap], Any]) -> None:
        super().__init__()
        self._rule_of = rule_of
        self.steps: list[Step] = []
        self._model = model
        # the tensors that depend on x; holding them keeps their ids unique
        self._traced: dict[int, Tensor] = {id(x): x}
        self._raw: set[int] = {id(x)}  # x itself, or x in another shape
        self._nonnegative: set[int] = set()
        self._gates: set[int] = set()
        self._replaced: dict[int, Tensor] = {}  # what an in-place operation would have written over
        # those themselves, by their memory, which must stay theirs
        self._kept: dict[int, list[Tensor]] = {}
        # what was met that does not depend on x, so far as is seen
        self._constants: dict[int, Tensor] = {}
        self._made: dict[int, Tensor] = {}  # what calls that were seen have made without x
        self._count = 0
        self._hooked = nn.modules.module._has_any_global_hook()
        # linear ones, by the id of the output, for a batch normalisation that follows
        self._maps: dict[int, Step] = {}

    def run(self, module: nn.Module, h: Any) -> Any:
        """module(h), written down. Of plain layers in a row the one call is known, which is quicker
        than to watch for it.
        """
        if (
            id(h) in self._traced
            and id(h) not in self._replaced
            and not altered(module)
            and not self._hooked
        ):
            if type(module) is nn.Sequential:
                for layer in module:
                    h = self.run(layer, h)
                return h
            if type(module) in ONLY_CALL:
                function, *others = ONLY_CALL[type(module)](module)
                return self._write_down(function, (h, *others), {}, [h])
        with self:
            h = module(h)
        return self._replaced.get(id(h), h)  # what in-place operations have made of it

    def _overwrite(self, tensor: Tensor, output: Tensor) -> None:
        """From now on whoever uses the tensor means the output."""
        self._kept.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
        self._replaced |= {
            key: output for key, current in self._replaced.items() if current is tensor
        } | {id(tensor): output}

    def _inputs(self, values: Iterable[Any]) -> list[Tensor]:
        """The tensors among these arguments, also within lists, that depend on x."""
        found = []
        for value in values:
            if id(value) in self._traced:
                found.append(value)
            elif isinstance(value, Tensor):
                if type(value) is not nn.Parameter:
                    self._constants[id(value)] = value
            elif (
                isinstance(value, (tuple, list)) and value and type(value[0]) is not int
            ):  # strides and the like hold no tensor
                found += self._inputs(value)
        return found

    def depends_on_input(self, tensor: Tensor) -> bool:
        return id(tensor) in self._traced

    def origin_unknown(self) -> list[Tensor]:
        """Constants that neither come from a call that was seen nor are buffers of the model."""
        unknown = [t for key, t in self._constants.items() if key not in self._made]
        buffers = set(map(id, self._model.buffers())) if unknown else ()
        return [t for t in unknown if id(t) not in buffers]

    def _constant_result(self, result: Any) -> Any:
        self._made.update((id(t), t) for t in tensors(result))
        return result

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._replaced:
            args, kwargs = replace(args, self._replaced), replace(kwargs, self._replaced)
            self._refuse_stale([*tensors(args), *tensors(list(kwargs.values()))])
        inputs = self._inputs((*args, *kwargs.values())) if kwargs else self._inputs(args)
        if not inputs:
            return self._constant_result(function(*args, **kwargs))
        return self._write_down(function, args, kwargs, inputs)

    def _write_down(
        self, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]
    ) -> Any:
        """Call the function and add what it does to the steps; `inputs` are the arguments that
        depend on x, at least one.
        """
        name, in_place = name_of(function)
        if kwargs and kwargs.get("out") is not None:
            raise ValueError(f"model: the operation {name!r} with out=... has no relevance rule")
        call = name, in_place, function, args, kwargs
        if name in PRODUCT and len(inputs) > 1:
            return self._product(*call, inputs)
        if name in CONVOLUTION or name in DENSE and not (name == "addmm" and kwargs):
            return self._linear(*call, inputs)
        if name == "batch_norm":
            return self._batch_norm(function, args, kwargs)
        if name in PRODUCT:
            return self._graph("share", *call, inputs)
        if name in QUOTIENT:
            return self._quotient(*call, inputs)
        if name in PASS:
            return self._pass(*call, inputs)
        if name in ROUTE:  # of the second tensor of view_as or expand_as only the shape is used
            return self._graph("route", *call, inputs[:1] if name.endswith("_as") else inputs)
        if name in SHARE:
            return self._graph("share", *call, inputs)
        if name in FROZEN:
            return self._frozen(*call)
        if name in TAYLOR:
            return self._graph("taylor", *call, inputs)
        if name in RECURRENT:
            return self._recurrent(name, function, args)
        if name in ("embedding", "embedding_bag") and len(inputs) == 1 and inputs[0] is args[0]:
            return self._embedding(name, function, args, kwargs)
        if name in CELLS or name == "multi_head_attention_forward":
            with self:
                return (CELLS[name] if name in CELLS else opened(function))(*args, **kwargs)
        return self._other(*call, inputs)

    def _refuse_stale(self, used: list[Tensor]) -> None:
        """An in-place operation was written down, not done: whoever shares that memory does not
        know of it.
        """
        for tensor in used:
            if any(
                overlap(tensor, written)
                for written in self._kept.get(tensor.untyped_storage().data_ptr(), ())
            ):
                raise ValueError(
                    "model: a tensor that was changed in place through a view of it is used "
                    "again; this cannot be followed"
                )

    def _other(
        self,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Any:
        """Shapes and comparisons carry no relevance; of what is not known only tensors pass, and no
        relevance through them.
        """
        if not in_place and name not in ("setitem", "set", "delitem", "int", "index"):
            result = function(*args, **kwargs)
            if name == "long" and result is args[0]:  # word numbers as they were
                return result
            if (name in CONSTANT and len(inputs) == 1) or not carries_values(result):
                return self._constant_result(result)
            outputs = tensors(result)
            if outputs and all(t.is_floating_point() for t in outputs) and name != "new_tensor":
                self._record(Step(name, "refused", inputs, outputs))
                if name in GATE:
                    self._gates.update(map(id, outputs))
                return result
        raise ValueError(f"model: the operation {name!r} has no relevance rule")

    def _record(self, step: Step, keeps: tuple[set[int], ...] = ()) -> None:
        """Add the step; what is true of all its inputs is true of its outputs, for the sets in
        `keeps`.
        """
        self.steps.append(step)
        for output in step.outputs:
            self._traced[id(output)] = output
        for known in (*keeps, self._gates) if self._gates and step.family != "linear" else keeps:
            if known and all([id(t) in known for t in step.inputs]):
                known.update(map(id, step.outputs))

    def _pass(
        self,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Tensor:
        if (
            name in ("to", "type_as") and args[0] is not inputs[0]
        ):  # a constant of the other's dtype
            return self._constant_result(function(*args, **kwargs))
        if (args and args[0] is not inputs[0]) or len(inputs) > 1:
            raise ValueError(
                f"model: the operation {name!r} of several tensors that depend on x has no "
                f"relevance rule"
            )
        a = source = inputs[0]
        may_write = (
            in_place
            or (len(args) > 1 and any(item is True for item in args))
            or bool(kwargs.get("inplace"))
        )
        if may_write:  # the stored activation must survive an in-place call
            source = a.clone()
            args, kwargs = replace(args, {id(a): source}), replace(kwargs, {id(a): source})
        output = function(*args, **kwargs)
        if output is source and not may_write:
            return output
        if not (
            isinstance(output, Tensor) and (output.is_floating_point() or output.dtype == a.dtype)
        ):  # float(a), a.to(torch.long), a.type()
            return self._other(name, False, lambda *_, **__: output, args, kwargs, inputs)
        self._record(
            Step(name, "pass", [a], [output]),
            (self._raw, self._nonnegative) if name.startswith("dropout") else (),
        )
        if name in ("relu", "relu6", "sigmoid"):
            self._nonnegative.add(id(output))
        if name in GATE:
            self._gates.add(id(output))
        if output is source:
            self._overwrite(a, output)
        return output

    def _product(
        self,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Any:
        """Of a gate and a signal, the signal takes all; of two signals neither has a claim."""
        signals = [t for t in inputs if id(t) not in self._gates]
        if len(signals) == 2 and name in ("mul", "multiply"):
            signals = hand_written_activation(signals, self.steps)
        if len(signals) == 1:
            return self._graph("share", name, in_place, function, args, kwargs, signals)
        return self._other(name, in_place, function, args, kwargs, inputs)

    def _quotient(
        self,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Any:
        """The numerator takes all: what a signal is divided by is a measure of its size, or a
        constant.
        """
        if (
            kwargs.get("rounding_mode")
            or id(args[0]) not in self._traced
            or all(t is args[0] for t in inputs)
            and len(inputs) > 1
        ):
            return self._other(name, in_place, function, args, kwargs, inputs)
        return self._graph("share", name, in_place, function, args, kwargs, [args[0]])

    def _frozen(
        self, name: str, in_place: bool, function: Callable, args: tuple, kwargs: dict
    ) -> Any:
        signal = (tuple(kwargs.values()) if not args else args)[
            2 if name == "scaled_dot_product_attention" else 0
        ]
        if id(signal) not in self._traced:
            return self._other(
                name, in_place, function, args, kwargs, self._inputs((*args, *kwargs.values()))
            )
        return self._graph("share", name, in_place, FROZEN[name], args, kwargs, [signal])

    def _recurrent(self, name: str, function: Callable, args: tuple) -> tuple[Tensor, ...]:
        if self._inputs(args[1:]):
            raise ValueError(
                f"model: the operation {name!r} with a first state that depends on x has no "
                f"relevance rule"
            )

        def make_map(weight: Tensor, bias: Tensor | None) -> tuple[LinearMap, Any]:
            layer = LinearMap(
                partial(owner_of, self._model, weight, name),
                "dense",
                self._count,
                False,
                False,
                args[0],
                weight.detach(),
                bias,
                F.linear,
            )
            self._count += 1
            return layer, self._checked_rule(layer)

        layers, x, states = recurrence(name, function, args, make_map)
        outputs = layers.forward(x, states)
        cell = layers.cells[0][0]
        self._record(
            Step(
                name,
                "recurrent",
                [x],
                outputs,
                linear=cell.template,
                rule=cell.rule,
                recurrence=layers,
            )
        )
        return tuple(outputs)

    def _embedding(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        """Word numbers (N, T) to vectors; a bag adds or averages the vectors of its words."""
        if name == "embedding_bag":
            if (
                args[0].dim() != 2
                or kwargs.get("mode", "mean") == "max"
                or kwargs.get("per_sample_weights") is not None
            ):
                raise ValueError(
                    "model: the operation 'embedding_bag' has a relevance rule for words (N, "
                    "T), summed or averaged, only"
                )
            with self:
                vectors = F.embedding(args[0], args[1], kwargs.get("padding_idx"))
                return vectors.sum(1) if kwargs.get("mode", "mean") == "sum" else vectors.mean(1)
        output = function(*args, **kwargs)
        self._record(Step(name, "embedding", [args[0]], [output]))
        return output

    def _graph(
        self,
        family: str,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Any:
        """Run the operation in a small graph of its own, so that torch knows the way back."""
        others = name in SEVERAL and len(inputs) < len(tensors(args))  # constants among the values
        inputs = inputs if len(inputs) == 1 else list({id(t): t for t in inputs}.values())
        if (
            whole := not inputs[0].is_floating_point()
        ) and family != "route":  # of word numbers there is no sum
            return self._other(name, in_place, function, args, kwargs, inputs)
        leaves = [(t.double() if whole else t.detach()).requires_grad_() for t in inputs]
        written = args[0] if in_place else None
        with torch.enable_grad():
            if (
                not in_place
                and args
                and args[0] is inputs[0]
                and PLAIN.issuperset(map(type, (*args[1:], *kwargs.values())))
            ):
                # the usual case, without a search
                result = function(leaves[0], *args[1:], **kwargs)
            else:
                stand_in = {id(t): leaf for t, leaf in zip(inputs, leaves)}
                if in_place:
                    args = (stand_in.get(id(written), written) * 1, *args[1:])
                result = function(
                    *replace(args, stand_in), **(replace(kwargs, stand_in) if kwargs else kwargs)
                )
        if result is leaves[0]:  # nothing was done: flatten of a matrix, say
            return inputs[0]
        results = [
            t
            for t in ([result] if isinstance(result, Tensor) else tensors(result))
            if t.requires_grad
        ]
        if not results:  # x gave no more than its shape
            return self._constant_result(result)
        outputs = [t.detach().to(inputs[0].dtype) if whole else t.detach() for t in results]
        keeps = (
            ()
            if family == "share"
            else (self._raw,)
            if others or name in ("pad", "masked_fill")
            else (self._raw, self._nonnegative)
        )
        self._record(Step(name, family, inputs, outputs, leaves, results), keeps)
        if in_place:
            self._overwrite(written, outputs[0])
        if result is results[0]:
            return outputs[0]
        # the positions of maxima
        self._constant_result([t for t in tensors(result) if not t.requires_grad])
        return replace(result, dict(zip(map(id, results), outputs)))

    def _linear(
        self,
        name: str,
        in_place: bool,
        function: Callable,
        args: tuple,
        kwargs: dict,
        inputs: list[Tensor],
    ) -> Tensor:
        if kwargs or name in ("matmul", "mm", "addmm"):
            second = "other" if name == "matmul" else "mat2" if name == "mm" else "weight"
            named = (
                dict(
                    zip(
                        ("bias", "input", "weight")
                        if name == "addmm"
                        else ("input", second, "bias"),
                        args,
                    )
                )
                | kwargs
            )
            a, weight, bias = named.pop("input"), named.pop(second), named.pop("bias", None)
        else:  # the usual case, without a search
            (a, weight, bias), named = (*args, None)[:3], {}
        if len(inputs) > 1 or inputs[0] is not a:
            if name in PRODUCT:  # a constant times the signal
                return self._graph("share", name, in_place, function, args, kwargs, inputs)
            raise ValueError(
                f"model: the operation {name!r} with weights that depend on x has no relevance rule"
            )

        def apply(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            if name in ("matmul", "mm", "addmm"):
                # of a batch normalisation
                return torch.matmul(a, weight) if bias is None else torch.matmul(a, weight) + bias
            return function(a, weight, bias, *args[3:], **named)

        layer = LinearMap(
            partial(owner_of, self._model, weight, name),
            "convolution" if name in CONVOLUTION else "dense",
            self._count,
            id(a) in self._raw,
            id(a) in self._nonnegative,
            a.detach().requires_grad_(),
            fixed(weight),
            fixed(bias),
            apply,
        )
        self._count += 1
        rule = self._checked_rule(layer)
        if hasattr(rule, "forward"):
            layer.root = rule.forward(layer)
        else:
            with torch.enable_grad():
                layer.root = apply(layer.a, layer.weight, layer.bias)
        layer.z = fixed(layer.root)
        return self._record_linear(layer, rule, name, a)

    def _checked_rule(self, layer: LinearMap) -> Any:
        rule = self._rule_of(layer)
        if isinstance(rule, type) or not hasattr(rule, "propagate"):
            raise TypeError(f"rules: expected a rule for the layer {layer.name!r}, got {rule!r}")
        return rule

    def _record_linear(self, layer: LinearMap, rule: Any, operation: str, a: Tensor) -> Tensor:
        self._record(Step(operation, "linear", [a], [layer.z], linear=layer, rule=rule))
        self._maps[id(layer.z)] = self.steps[-1]
        return layer.z

    def _batch_norm(self, function: Callable, args: tuple, kwargs: dict) -> Tensor:
        """In evaluation mode z -> scale z + shift: with the linear map before it, one linear map;
        alone, a factor and a bias.
        """
        named = (
            dict(
                zip(
                    (
                        "input",
                        "running_mean",
                        "running_var",
                        "weight",
                        "bias",
                        "training",
                        "momentum",
                        "eps",
                    ),
                    args,
                )
            )
            | kwargs
        )
        z, mean, variance = named["input"], named["running_mean"], named["running_var"]
        if (
            mean is None
            or variance is None
            or named.get("training")
            or function is not F.batch_norm
        ):
            raise ValueError(
                "model: the operation 'batch_norm' with the statistics of the batch has no "
                "relevance rule"
            )
        step = self._maps.get(id(z))
        if step is None or (step.linear.kind == "dense" and z.dim() > 2):
            return self._graph("share", "batch_norm", False, function, args, kwargs, [z])
        before = step.linear
        scale = torch.rsqrt(variance + named.get("eps", 1e-5))
        scale = scale if named.get("weight") is None else scale * named["weight"]
        shift = (
            -mean * scale
            if named.get("bias") is None
            else torch.addcmul(named["bias"], mean, scale, value=-1)
        )
        bias = shift if before.bias is None else torch.addcmul(shift, scale, before.bias)
        factor = scale.view(1, -1, *[1] * (z.dim() - 2))
        layer = LinearMap(
            before.owner,
            before.kind,
            before.index,
            before.reads_input,
            before.nonnegative,
            before.a,
            scale_outputs(before.weight, scale, step.operation.partition("+")[0]),
            bias,
            before.apply,
            before.root,
            function(*args, **kwargs),
            factor if before.scale is None else before.scale * factor,
        )
        return self._record_linear(layer, step.rule, f"{step.operation}+batch_norm", step.inputs[0])


def trace(
    model: nn.Module, x: Tensor, rule_of: Callable[[LinearMap], Any]
) -> tuple[Tensor, list[Step]]:
    """The scores model(x) and the steps that lead to them, each linear map with its rule. Run it
    within `torch.no_grad()`.

    Raises ValueError if the scores do not depend on x, or in part through operations that are not
    seen.
    """
    model = model._modules.get("_orig_mod", model)  # a compiled model is traced as it was written
    tracer = Tracer(model, x, rule_of)
    scores = tracer.run(model, x)
    if isinstance(scores, Tensor) and not tracer.depends_on_input(scores):
        raise ValueError(
            "model: its scores do not depend on x through operations that can be followed"
        )
    if (
        unknown := tracer.origin_unknown()
    ):  # rare: what was there before is the same object in a second run
        with Tracer(model, x, rule_of) as again:
            model(x)
        if any(id(t) not in again._constants for t in unknown):
            raise ValueError(
                "model: a part of it (scripted code, say) computes with tensors out of sight; "
                "this cannot be followed"
            )
    return scores, tracer.steps
