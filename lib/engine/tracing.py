"""The forward pass written down, so that relevance can be sent back through it, one operation at a
time.

While the model runs, `Tracer` sees every call of a torch function, whether it comes from a module,
from a module used twice or from plain code, and writes a `Step` for it. An operation belongs to a
family:

- pass: one neuron in, one neuron out (ReLU and its relatives, dropout). Relevance passes unchanged.
- route: each output is one of the inputs (reshape, concatenation, maximum pooling). Relevance goes
  where it came from.
- share: each output is a weighted sum of inputs with weights held constant (average pooling,
  residual sum, a signal times a gate, x times a function of x alone, a signal by its norm, values
  weighed by attention). Relevance is shared in proportion; added constants keep their part.
- linear: z = a w + b with weights of the model. Its rule decides.
- softmax: attention weights are gates; where these get relevance too, it goes on by a Taylor
  expansion at x (Achtibat et al., 2024, proposition 3.1).
- taylor: shared in proportion to input x gradient (local response normalisation; Binder et al.,
  2016).
- recurrent: LSTM, GRU and Elman layers and cells, in `lib.engine.recurrent`.
- embedding: the relevance of a word is the sum of that of its vector.
- product: of two signals neither has a claim: half to each (Achtibat et al., 2024).
- refused: no rule. No error as long as no relevance arrives there (inside a gate, say); otherwise
  refused by name. An operation in place, or in a form that its family does not know, is refused at
  once.

A call is sorted by its name (`FAMILY`) to a handler (`HANDLERS`), which writes a step of one of
these families. A gate is a factor that only says how much of a signal passes: the sigmoid of an
LSTM, say. Nothing is silently wrong. An operation in place is done on a copy, so that what it would
write over survives; and a tensor that comes from calls out of sight (scripted code) is refused too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .arguments import carries_values, fixed, opened, overlap, replace, tensors
from .contract import every_module
from .frozen import FROZEN, OPENED
from .linear import LinearMap, Rule, owner_of, scale_outputs
from .operations import (
    CONSTANT,
    CONVOLUTION,
    FAMILY,
    FILLED,
    GATE,
    MONOTONE,
    ONLY_CALL,
    OPEN_GATE,
    PLAIN,
    PRODUCT,
    SEVERAL,
    WRITTEN_OUT,
    altered,
    name_of,
)
from .recurrent import recurrence
from .refusal import NoRuleError, path_of, running_module
from .steps import Call, Step, hand_written_activation

RuleOf = Callable[[LinearMap], Rule]


def trace(
    model: nn.Module, x: Tensor, rule_of: RuleOf | None = None, through_gates: bool = False
) -> tuple[Tensor, list[Step]]:
    """The scores model(x) and the steps that lead to them, each linear map with its rule.

    through_gates: whether attention weights and gates are signals like others, that get half of the
    relevance of what they multiply (Achtibat et al., 2024).

    Run it within `torch.no_grad()`. Raises ValueError if the scores do not depend on x, or in part
    through operations that are not seen.

    >>> with torch.no_grad():
    ...     scores, steps = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.ones(1, 2, 2))
    >>> [(step.operation, step.family) for step in steps]
    [('flatten', 'route'), ('linear', 'linear')]
    """
    if isinstance(model, torch.jit.ScriptModule):
        _refuse_scripted(model)
    # A compiled model is traced as it was written.
    model = model._modules.get("_orig_mod") or model
    tracer = Tracer(model, x, rule_of, through_gates)
    scores = tracer.run(model, x)
    if isinstance(scores, Tensor) and not tracer.is_signal(scores):
        _refuse_scripted(model)
        raise ValueError(
            "model: its scores do not depend on x through operations that can be followed"
        )
    if unknown := tracer.origin_unknown():
        _refuse_scripted(model)
        # Rare. A tensor that was there before the run is the same object in a second run; one that
        # was made out of sight is not.
        with Tracer(model, x, rule_of) as again:
            model(x)
        if any(id(t) not in again.known for t in unknown):
            raise ValueError(
                "model: a part of it (scripted code, say) computes with tensors out of sight; "
                "this cannot be followed"
            )
    return scores, tracer.steps


def _refuse_scripted(model: nn.Module) -> None:
    for module in every_module(model):
        if isinstance(module, torch.jit.ScriptModule):
            path = path_of(model, module)
            name = f"the module {path!r}" if path else "it"
            raise ValueError(
                f"model: {name} is compiled by torch.jit; its calls are out of sight. Explain the "
                "module that it was made from"
            )


@dataclass(eq=False)
class Known:
    """What is known of one tensor; it holds the tensor, so that its id stays its own.

    signal: it depends on x. nonnegative: it cannot be below 0. gate: it depends on x, but as a
    factor it gets no relevance. mixing: it comes from a softmax; what a linear map makes of it,
    with as many values, is still a gate (the talking heads of an attention). made: it does not
    depend on x, and the call that made it was seen. weight: that call had a parameter of the model.
    step: the step of the linear map whose output it is.
    origin, again: it is again(origin), by moving and padding alone, or, where the origin is x, also
    by weighted sums that do not depend on x; None: itself. sums: the steps of these sums.
    """

    tensor: Tensor
    signal: bool = True
    nonnegative: bool = False
    gate: bool = False
    mixing: bool = field(default=False, init=False)
    made: bool = field(default=False, init=False)
    weight: bool = field(default=False, init=False)
    step: Step | None = field(default=None, init=False)
    origin: Tensor | None = field(default=None, init=False)
    again: Callable[[Tensor], Tensor] | None = field(default=None, init=False)
    sums: tuple[Step, ...] = field(default=(), init=False)


class Tracer(TorchFunctionMode):
    """Within its `with` block, each call on a tensor that depends on x becomes a step: `steps`, in
    the order of the calls.

    >>> x = torch.ones(1, 2)
    >>> tracer = Tracer(nn.ReLU(), x)
    >>> with torch.no_grad(), tracer:
    ...     y = torch.relu(x) + 1
    >>> [step.operation for step in tracer.steps]
    ['relu', 'add']
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        rule_of: RuleOf | None = None,
        through_gates: bool = False,
    ) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.known: dict[int, Known] = {id(x): Known(x)}
        self._model, self._x, self._rule_of = model, x, rule_of
        self._through_gates = through_gates
        self._maps = 0
        self._buffers: list[Tensor | None] = []
        # What an in-place operation would have written over: by its id, what is meant from then
        # on; by its memory, the tensors that lie there.
        self._replaced: dict[int, Tensor] = {}
        self._written: dict[int, list[Tensor]] = {}
        self._hooked = nn.modules.module._has_any_global_hook()

    def run(self, module: nn.Module, h: Any) -> Any:
        """module(h), written down. A plain layer makes one call that is known beforehand; to write
        it down directly is quicker than to watch for it.
        """
        kind = type(module)
        if (
            (kind in ONLY_CALL or kind is nn.Sequential)
            and not altered(module)
            and not self._hooked
            and self.is_signal(h)
            and id(h) not in self._replaced
        ):
            if isinstance(module, nn.Sequential):
                for layer in module:
                    h = self.run(layer, h)
                return h
            function, *others = ONLY_CALL[kind](module)
            return self._write_down(function, (h, *others), {}, [h])
        # Now, because a model may put others in their place.
        self._buffers += [b for part in every_module(module) for b in part._buffers.values()]
        with self:
            h = module(h)
        return self._replaced.get(id(h), h)  # what in-place operations have made of it

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Within the `with` block torch calls this in the place of each of its functions. While it
        runs no call is watched; what must be seen inside stands in a block `with self` of its own.
        """
        kwargs = kwargs or {}
        if self._replaced:
            args, kwargs = replace(args, self._replaced), replace(kwargs, self._replaced)
            self._refuse_stale(function, [*tensors(args), *tensors(list(kwargs.values()))])
        inputs = self._signals((*args, *kwargs.values()) if kwargs else args)
        if not inputs:
            return self._constant(function(*args, **kwargs), self._has_weight(args))
        return self._write_down(function, args, kwargs, inputs)

    def _write_down(
        self, function: Callable, args: tuple, kwargs: dict, inputs: list[Tensor]
    ) -> Any:
        """Make the call and add what it does to the steps; `inputs`: at least one argument."""
        call = Call(*name_of(function), function, args, kwargs, inputs)
        try:
            if kwargs and kwargs.get("out") is not None:
                raise NoRuleError(call.name, "with out=... has no relevance rule")
            return HANDLERS[FAMILY.get(call.name, "other")](self, call)
        except NoRuleError as error:
            error.place = error.place or path_of(self._model, running_module())
            raise

    # ------------------------------------------------------------ what is known of tensors

    def is_signal(self, value: object) -> bool:
        """Whether it is a tensor that depends on x."""
        known = self.known.get(id(value))
        return known is not None and known.signal

    def origin_unknown(self) -> list[Tensor]:
        """Constants that neither come from a call that was seen nor are buffers of the model."""
        unknown = [k.tensor for k in self.known.values() if not (k.signal or k.made)]
        own = set(map(id, self._buffers)) if unknown else ()
        return [t for t in unknown if id(t) not in own]

    def _signals(self, values: Iterable[Any]) -> list[Tensor]:
        """The tensors among these arguments, also within lists, that depend on x; the others are
        noted as constants.
        """
        found = []
        for value in values:
            known = self.known.get(id(value))
            if known is not None:
                if known.signal:
                    found.append(value)
            elif isinstance(value, Tensor):
                if type(value) is not nn.Parameter:
                    self.known[id(value)] = Known(value, signal=False)
            elif isinstance(value, (tuple, list)) and value and type(value[0]) is not int:
                found += self._signals(value)  # strides and the like hold no tensor
        return found

    def _constant(self, result: Any, weight: bool = False) -> Any:
        """The result of a call in which x had no part."""
        for t in tensors(result):
            known = self.known.setdefault(id(t), Known(t, signal=False))
            known.made, known.weight = True, known.weight or weight
        return result

    def _has_weight(self, values: Iterable[Any]) -> bool:
        """Whether a parameter of the model, or what was made of one, is among these tensors."""
        return any(
            type(value) is nn.Parameter
            or ((known := self.known.get(id(value))) is not None and known.weight)
            for value in values
        )

    def _record(self, step: Step, nonnegative: bool = False) -> None:
        """Add the step. nonnegative: whether its outputs are so where its inputs are. What a linear
        map makes of gates is a signal again.
        """
        self.steps.append(step)
        gate, mixing = step.family != "linear", True
        for t in step.inputs:
            k = self.known[id(t)]
            gate, mixing = gate and k.gate, mixing and k.mixing
            nonnegative = nonnegative and k.nonnegative
        for output in step.outputs:
            known = self.known[id(output)] = Known(output, True, nonnegative, gate)
            if mixing and output.numel() == sum([t.numel() for t in step.inputs]):
                known.mixing = known.gate = True

    def _follow_origin(self, step: Step, call: Call) -> None:
        """Note how the outputs are made of the origin of the inputs, where they have one."""
        first, *others = inputs = [self.known[id(t)] for t in step.inputs]
        origin = first.tensor if first.origin is None else first.origin
        for k in others:
            if (k.tensor if k.origin is None else k.origin) is not origin:
                return
        sums = first.sums
        if step.family == "share":
            if origin is not self._x or len(call.inputs) > 1:
                return
            sums = (*sums, step)
        for place, output in enumerate(step.outputs):
            known = self.known[id(output)]
            known.origin, known.again = origin, partial(_again, call, inputs, place)
            known.sums = sums

    def _overwrite(self, tensor: Tensor, output: Tensor) -> None:
        """From now on whoever uses the tensor means the output."""
        self._written.setdefault(tensor.untyped_storage().data_ptr(), []).append(tensor)
        meant = [key for key, current in self._replaced.items() if current is tensor]
        self._replaced |= dict.fromkeys([*meant, id(tensor)], output)

    def _refuse_stale(self, function: Callable, used: list[Tensor]) -> None:
        """An in-place operation was written down, not done: whoever shares that memory does not
        know of it.
        """
        for tensor in used:
            there = self._written.get(tensor.untyped_storage().data_ptr(), ())
            if any(overlap(tensor, written) for written in there):
                raise NoRuleError(
                    name_of(function)[0],
                    "uses a tensor that was changed in place through a view of it; this cannot be "
                    "followed",
                    self._place()(),
                )

    # ------------------------------------------------------------ the families

    def _other(self, call: Call) -> Any:
        """What is in no family, or not in the form that its family knows."""
        if isinstance(call.function, torch._ops.OpOverload):
            why = "is a call of an exported program: explain the module that was exported"
            raise NoRuleError(call.name, why)
        if call.in_place or call.name in ("set", "delitem", "int", "index"):
            raise NoRuleError(call.name)
        return self._not_followed(call, call())

    def _not_followed(self, call: Call, result: Any) -> Any:
        """The result of an operation without a handler: shapes and comparisons carry no relevance;
        tensors of floats go on, and relevance that arrives at them is refused.
        """
        if call.name == "long" and result is call.args[0]:  # word numbers as they were
            return result
        no_values = call.name in CONSTANT and len(call.inputs) == 1
        if no_values or not carries_values(result):
            return self._constant(result)
        outputs = tensors(result)
        numbers = all(t.is_floating_point() or t.is_complex() for t in outputs)
        if not outputs or call.name == "new_tensor" or not numbers:
            raise NoRuleError(call.name)
        step = Step(call.name, "refused", call.inputs, outputs)
        step.place = self._place()
        self._record(step)
        for output in outputs if self._is_gate(call.name) else ():
            known = self.known[id(output)]
            known.gate, known.mixing = True, call.name == "softmax"
        return result

    def _is_gate(self, name: str) -> bool:
        return name in GATE and not (self._through_gates and name in OPEN_GATE)

    def _softmax(self, call: Call) -> Any:
        dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
        if not self._through_gates or call.inputs[0] is not call.args[0] or dim is None:
            return self._other(call)
        output = call()
        step = Step(call.name, "softmax", call.inputs, [output])
        step.dim = dim
        self._record(step)
        return output

    def _place(self) -> Callable[[], str]:
        """Finds the path of the module that runs now; it is looked up only if it is asked for."""
        return partial(path_of, self._model, running_module())

    def _pass(self, call: Call) -> Any:
        a = call.inputs[0]
        first = call.args[0] if call.args else a
        if call.name in ("to", "type_as"):  # of the other tensor no more than its dtype is used
            if first is not a:
                return self._constant(call())
            call.inputs = [a]
        if call.name == "pow" and not (first is a and len(call.inputs) == 1 and _positive(call)):
            return self._other(call)
        if first is not a or len(call.inputs) > 1:
            raise NoRuleError(
                call.name, "of several tensors that depend on x has no relevance rule"
            )
        flag = any([item is True for item in call.args[1:]]) or call.kwargs.get("inplace")
        may_write = call.in_place or flag
        # The stored activation must survive an in-place call.
        source = a.clone() if may_write else a
        if may_write:
            stand_in = {id(a): source}
            call.args, call.kwargs = replace(call.args, stand_in), replace(call.kwargs, stand_in)
        output = call()
        if output is source and not may_write:
            return output
        kept = isinstance(output, Tensor) and (
            output.is_floating_point() or output.dtype == a.dtype
        )
        if not kept:  # float(a), a.to(torch.long), a.type()
            return self._not_followed(call, output)
        same = call.name.startswith("dropout") or call.name in ("clone", "contiguous")
        step = Step(call.name, "pass", [a], [output], call)
        self._record(step, nonnegative=same)
        if same:
            self._follow_origin(step, call)
        known = self.known[id(output)]
        known.nonnegative |= call.name in ("relu", "relu6", "sigmoid", "square", "abs")
        known.gate |= self._is_gate(call.name)
        if output is source:
            self._overwrite(a, output)
        return output

    def _product(self, call: Call) -> Any:
        """Of a gate and a signal, the signal takes all; several signals take the same part each.
        With a weight of the model the rule for linear maps decides.
        """
        signals = call.inputs
        if len(signals) == 1:
            z = self._weighted(call) if call.name in ("matmul", "mm", "einsum") else None
            return self._graph("share", call, signals) if z is None else z
        signals = [t for t in signals if not self.known[id(t)].gate] or signals
        if len(signals) == 2 and call.name in ("mul", "multiply"):
            signals = hand_written_activation(signals, self.steps) or signals
        if len(signals) == 1:
            return self._graph("share", call, signals)
        result = self._graph("product", call, signals)
        self.steps[-1].factors = len(signals)
        return result

    def _weighted(self, call: Call) -> Tensor | None:
        """A weight of the model times the signal, in an order of their own; None where there is no
        weight, or more than these two.
        """
        operands = tensors(call.args)
        others = [t for t in operands if t is not call.inputs[0]]
        if call.kwargs or len(operands) != 2 or len(others) != 1 or not self._has_weight(others):
            return None
        a, weight = call.inputs[0], others[0]

        def apply(a_: Tensor, weight_: Tensor, bias: Tensor | None = None) -> Tensor:
            z = call.function(*replace(call.args, {id(a): a_, id(weight): weight_}))
            return z if bias is None else z + bias

        return self._run_map(call, self._map("dense", call.name, a, weight, None, apply), a)

    def _quotient(self, call: Call) -> Any:
        """The numerator takes all: what a signal is divided by is a measure of its size, or a
        constant.
        """
        numerator = call.args[0]
        by_itself = len(call.inputs) > 1 and all(t is numerator for t in call.inputs)
        if call.kwargs.get("rounding_mode") or by_itself or not self.is_signal(numerator):
            return self._other(call)
        return self._graph("share", call, [numerator])

    def _frozen(self, call: Call) -> Any:
        attention = call.name == "scaled_dot_product_attention"
        signal = (call.args or tuple(call.kwargs.values()))[2 if attention else 0]
        if not self.is_signal(signal):
            return self._other(call)
        if self._through_gates and call.name in OPENED:
            with self:
                return OPENED[call.name](*call.args, **call.kwargs)
        call.function = FROZEN[call.name]
        return self._graph("share", call, [signal])

    def _route(self, call: Call) -> Any:
        # Of the second tensor of view_as or expand_as only the shape is used.
        inputs = call.inputs[:1] if call.name.endswith("_as") else call.inputs
        return self._graph("route", call, inputs)

    def _setitem(self, call: Call) -> Any:
        """t[index] = value, and t.copy_(value): t with other values in some places."""
        written = call.name == "setitem"
        if written and self._signals([call.args[1]]):  # places that depend on x
            return self._other(call)
        call.function, call.in_place = _with_item if written else _copied, True
        self._graph("route", call)
        return call.args[0]

    def _scatter_reduce(self, call: Call) -> Any:
        """A sum or mean of what arrives at a place, or the largest or smallest of it."""
        reduce = str(call.kwargs.get("reduce", call.args[4] if len(call.args) > 4 else None))
        family = {"sum": "share", "mean": "share", "amax": "route", "amin": "route"}.get(reduce)
        return self._graph(family, call) if family else self._other(call)

    def _graph(self, family: str, call: Call, inputs: Sequence[Tensor] | None = None) -> Any:
        """Run the operation in a small graph of its own, so that torch knows the way back."""
        inputs = call.inputs if inputs is None else inputs
        constants = call.name in SEVERAL and len(inputs) < len(tensors(call.args))
        if len(inputs) > 1:
            inputs = list({id(t): t for t in inputs}.values())
        words = not inputs[0].is_floating_point()
        if words and family != "route":  # of word numbers there is no sum
            return self._other(call)
        leaves = [(t.double() if words else t.detach()).requires_grad_() for t in inputs]
        result = _with_leaves(call, inputs, leaves)
        if result is leaves[0]:  # nothing was done: flatten of a matrix, say
            return inputs[0]
        results = [t for t in tensors(result) if t.requires_grad]
        if not results:  # x gave no more than its shape
            return self._constant(result)
        outputs = [t.detach().to(inputs[0].dtype) if words else t.detach() for t in results]
        stays = family == "route" and not constants and call.name not in FILLED
        step = Step(call.name, family, list(inputs), outputs, call)
        step.leaves, step.results = leaves, results
        if family != "route":
            step.place = self._place()
        self._record(step, nonnegative=stays)
        if not words and (family == "route" or call.name in MONOTONE):
            self._follow_origin(step, call)
        if call.in_place:
            self._overwrite(call.args[0], outputs[0])
        if result is results[0]:
            return outputs[0]
        self._constant([t for t in tensors(result) if not t.requires_grad])  # positions of maxima
        return replace(result, dict(zip(map(id, results), outputs)))

    def _linear(self, call: Call) -> Any:
        if call.name in PRODUCT and len(call.inputs) > 1:
            return self._product(call)
        if call.name == "addmm" and call.kwargs:
            return self._other(call)
        a, weight, bias, apply = _operands(call)
        if len(call.inputs) > 1 or call.inputs[0] is not a:
            return self._product(call)  # a constant times the signal, or weights that depend on x
        kind = "convolution" if call.name in CONVOLUTION else "dense"
        z = self._run_map(call, self._map(kind, call.name, a, weight, bias, apply), a)
        self.known[id(z)].step = self.steps[-1]
        return z

    def _map(
        self,
        kind: str,
        operation: str,
        a: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        apply: Callable[..., Tensor],
    ) -> LinearMap:
        """The next linear map."""
        known = self.known[id(a)]
        reads_input = a is self._x or known.origin is self._x
        owner = partial(owner_of, self._model, weight, operation)
        leaf, index = a.detach().requires_grad_(a.is_floating_point()), self._maps
        self._maps += 1
        w = weight.detach() if weight.requires_grad else weight
        layer = LinearMap(
            owner, kind, index, reads_input, known.nonnegative, leaf, w, fixed(bias), apply
        )
        if known.again is not None:
            layer.origin, layer.again = known.origin, known.again
        return layer

    def _rule(self, layer: LinearMap) -> Rule | None:
        if self._rule_of is None:
            return None
        rule = self._rule_of(layer)
        if isinstance(rule, type) or not hasattr(rule, "propagate"):
            raise TypeError(f"rules: expected a rule for the layer {layer.name!r}, got {rule!r}")
        return rule

    def _run_map(self, call: Call, layer: LinearMap, a: Tensor, z: Tensor | None = None) -> Tensor:
        """Choose the rule of a linear map, run it and write it down. z: its output, where it was
        computed in a better way.
        """
        rule = self._rule(layer)
        layer.run(rule)
        if z is not None:
            layer.z = z
        if getattr(rule, "by_place", False):
            for step in self.known[id(a)].sums:
                step.unchanged = True
        self._record(_linear_step(call.name, a, layer, rule))
        return layer.z

    def _batch_norm(self, call: Call) -> Any:
        """In evaluation mode z -> scale z + shift: with the linear map before it, one linear map;
        alone, a linear map of single neurons.
        """
        names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum")
        named = dict(zip((*names, "eps"), call.args)) | call.kwargs
        z, mean, variance = named["input"], named["running_mean"], named["running_var"]
        own = mean is None or variance is None or named.get("training")
        if own or call.function is not F.batch_norm:
            raise NoRuleError(call.name, "with the statistics of the batch has no relevance rule")
        if len(call.inputs) > 1 or call.inputs[0] is not z:
            return self._other(call)
        scale = torch.rsqrt(variance + named.get("eps", 1e-5))
        if named.get("weight") is not None:
            scale = scale * named["weight"]
        shift = -mean * scale
        if named.get("bias") is not None:
            shift = torch.addcmul(named["bias"], mean, scale, value=-1)
        known = self.known[id(z)]
        step = known.step
        if step is None or step.linear is None or (step.linear.kind == "dense" and z.dim() > 2):
            if known.origin is self._x or z is self._x:
                return self._graph("share", call)  # the bounds of x go through it
            layer = self._neuron_by_neuron(call, z, scale, shift)
            return self._run_map(call, layer, z, call())  # exact where the mean is large
        layer = _scaled(step.linear, scale, shift, step.operation)
        layer.z = call()
        name = f"{step.operation}+batch_norm"
        step = _linear_step(name, step.inputs[0], layer, step.rule)
        self._record(step)
        self.known[id(layer.z)].step = step
        return layer.z

    def _neuron_by_neuron(self, call: Call, z: Tensor, scale: Tensor, shift: Tensor) -> LinearMap:
        per_channel = (-1, *[1] * (z.dim() - 2))

        def apply(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            product = a * weight.view(per_channel)
            return product if bias is None else product + bias.view(per_channel)

        kind = "convolution" if z.dim() > 2 else "dense"
        layer = self._map(kind, call.name, z, scale, shift, apply)
        layer.owner = self._place()
        return layer

    def _recurrent(self, call: Call) -> tuple[Tensor, ...]:
        x, *others = call.args
        if self._signals(others):
            raise NoRuleError(
                call.name, "with a first state that depends on x has no relevance rule"
            )

        def make_map(weight: Tensor, bias: Tensor | None) -> tuple[LinearMap, Rule | None]:
            layer = self._map("dense", call.name, x, weight, bias, F.linear)
            return layer, self._rule(layer)

        layers, x, states = recurrence(call.name, call.function, call.args, make_map)
        outputs = layers.forward(x, states)
        cell = layers.cells[0][0]
        step = Step(call.name, "recurrent", [x], outputs)
        step.recurrence = layers
        step.linear, step.rule = cell.template, cell.rule
        self._record(step)
        return tuple(outputs)

    def _embedding(self, call: Call) -> Any:
        """Word numbers (N, T) to vectors; a bag adds or averages the vectors of its words."""
        words = call.args[0] if call.args else None
        if len(call.inputs) > 1 or call.inputs[0] is not words:
            return self._other(call)
        if call.name == "embedding":
            output = call()
            self._record(Step(call.name, "embedding", [words], [output]))
            return output
        mode = call.kwargs.get("mode", "mean")
        weighed = call.kwargs.get("per_sample_weights") is not None
        if words.dim() != 2 or mode == "max" or weighed:
            raise NoRuleError(
                call.name, "has a relevance rule for words (N, T), summed or averaged, only"
            )
        with self:
            vectors = F.embedding(words, call.args[1], call.kwargs.get("padding_idx"))
            return vectors.sum(1) if mode == "sum" else vectors.mean(1)

    def _written_out(self, call: Call) -> Any:
        """A cell, or attention: its body runs and each call in it is seen."""
        body = WRITTEN_OUT.get(call.name) or opened(call.function)
        with self:
            result = body(*call.args, **call.kwargs)
        if call.in_place:
            self._overwrite(call.args[0], result)
        return result


HANDLERS: dict[str, Callable[[Tracer, Call], Any]] = {
    "pass": Tracer._pass,
    "route": Tracer._route,
    "share": lambda tracer, call: tracer._graph("share", call),
    "product": Tracer._product,
    "quotient": Tracer._quotient,
    "linear": Tracer._linear,
    "batch norm": Tracer._batch_norm,
    "frozen": Tracer._frozen,
    "taylor": lambda tracer, call: tracer._graph("taylor", call),
    "recurrent": Tracer._recurrent,
    "embedding": Tracer._embedding,
    "written out": Tracer._written_out,
    "scatter": Tracer._scatter_reduce,
    "setitem": Tracer._setitem,
    "softmax": Tracer._softmax,
    "other": Tracer._other,
}


def _linear_step(operation: str, a: Tensor, layer: LinearMap, rule: Rule | None) -> Step:
    step = Step(operation, "linear", [a], [layer.z])
    step.linear, step.rule = layer, rule
    return step


def _with_item(tensor: Tensor, index: Any, value: Any) -> Tensor:
    words = isinstance(value, Tensor) and value.is_floating_point() > tensor.is_floating_point()
    result = tensor.to(value.dtype, copy=True) if words else tensor.clone()
    result[index] = value
    return result


def _copied(tensor: Tensor, value: Tensor, non_blocking: bool = False) -> Tensor:
    return value.expand_as(tensor) * 1


def _again(call: Call, inputs: list[Known], place: int, origin: Tensor) -> Tensor:
    """One output of the call for other values of the origin of its inputs."""
    stand_in = {id(k.tensor): origin if k.again is None else k.again(origin) for k in inputs}
    if call.in_place:
        stand_in = {key: value.clone() for key, value in stand_in.items()}
    result = call.function(*replace(call.args, stand_in), **replace(call.kwargs, stand_in))
    return [t for t in tensors(result) if t.is_floating_point()][place]


def _positive(call: Call) -> bool:
    """Whether the exponent of a power is a positive number: another one measures a size."""
    exponent = call.args[1] if len(call.args) > 1 else call.kwargs.get("exponent")
    return isinstance(exponent, (int, float)) and exponent > 0


def _with_leaves(call: Call, inputs: Sequence[Tensor], leaves: Sequence[Tensor]) -> Any:
    """The result of the call with leaves in the place of its inputs."""
    args, kwargs = call.args, call.kwargs
    with torch.enable_grad():
        usual = not call.in_place and args and args[0] is inputs[0]
        if usual and PLAIN.issuperset(map(type, (*args[1:], *kwargs.values()))):
            return call.function(leaves[0], *args[1:], **kwargs)  # without a search
        stand_in = {id(t): leaf for t, leaf in zip(inputs, leaves)}
        if call.in_place:  # what is written over must be no leaf
            args = (stand_in.get(id(args[0]), args[0]) * 1, *args[1:])
        return call.function(*replace(args, stand_in), **replace(kwargs, stand_in))


def _operands(call: Call) -> tuple[Tensor, Tensor, Tensor | None, Callable[..., Tensor]]:
    """Input, weight and bias of a dense layer or convolution, and how to compute it with others."""
    product = call.name in ("matmul", "mm", "addmm")
    if not (product or call.kwargs):  # the usual case, without a search
        a, weight, bias = (*call.args, None)[:3]
        named = {}
    else:
        second = {"matmul": "other", "mm": "mat2"}.get(call.name, "weight")
        order = ("bias", "input", "weight") if call.name == "addmm" else ("input", second, "bias")
        named = dict(zip(order, call.args)) | call.kwargs
        a, weight, bias = named.pop("input"), named.pop(second), named.pop("bias", None)

    def apply(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not product:
            return call.function(a, weight, bias, *call.args[3:], **named)
        z = torch.matmul(a, weight)
        return z if bias is None else z + bias  # of a batch normalisation

    return a, weight, bias, apply


def _scaled(layer: LinearMap, scale: Tensor, shift: Tensor, operation: str) -> LinearMap:
    """The linear map and the factor and shift of its outputs as one linear map; without its z."""
    weight = scale_outputs(layer.weight, scale, operation.partition("+")[0])
    bias = shift if layer.bias is None else torch.addcmul(shift, scale, layer.bias)
    factor = scale.view(1, -1, *[1] * (layer.z.dim() - 2))
    factor = factor if layer.scale is None else layer.scale * factor
    both = changed(layer, weight=weight, bias=bias, scale=factor, parts=None)
    both.root = layer.root
    return both
