"""Second derivatives of functions for which PyTorch has only a first derivative.

An attack differentiates a gradient. PyTorch's fused attention and its hard sigmoid cannot be differentiated
twice. Attention is computed by plain matrix products instead, and the hard sigmoid gets a backward function
of its own that can be differentiated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within this context, attention is computed in a way that can be differentiated twice."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def give_second_derivatives(model: nn.Module, inputs: Tensor) -> None:
    """Replace the functions of a model that have no second derivative in PyTorch.

    The replacements have the same values up to rounding. A model that needs none of them stays as it is,
    and as fast as it was.

    Args:
        model: the model, changed in place.
        inputs: inputs of the model, for one forward pass.
    """
    with torch.enable_grad():
        output = model(inputs.detach().clone().requires_grad_())
    if isinstance(output, Tensor) and not _LACKING.isdisjoint(_operations(output)):
        model.forward = functools.partial(_with_rules, model.forward)


def _with_rules(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with _Rules():
        return forward(*args, **kwargs)


class _Rules(TorchFunctionMode):
    """Replaces the functions for which there is a rule here."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        rule = _RULES.get(func)
        if rule is not None:
            # In place or not: the values are the same.
            return rule(args[0] if args else (kwargs or {})["input"])
        return func(*args, **(kwargs or {}))


class _HardSigmoid(torch.autograd.Function):
    """The hard sigmoid, clamp(x / 6 + 1 / 2, 0, 1), whose slope is 1/6 between -3 and 3."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        # Not the function that has a rule.
        return torch.clamp(x / 6 + 0.5, 0, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        inside = (x > -3) & (x < 3)
        slope: Tensor = gradients[0] * inside / 6
        return slope


def hard_sigmoid(x: Tensor) -> Tensor:
    """The hard sigmoid, differentiable any number of times."""
    result: Tensor = _HardSigmoid.apply(x)
    return result


_RULES: dict[Any, Callable[[Tensor], Tensor]] = {
    F.hardsigmoid: hard_sigmoid,
    torch._C._nn.hardsigmoid: hard_sigmoid,
    torch._C._nn.hardsigmoid_: hard_sigmoid,
}
# What autograd calls the operations whose backward has no derivative.
_LACKING = frozenset({"HardsigmoidBackward0"})


def _operations(output: Tensor) -> Iterable[str]:
    """The names of the operations from which a tensor was computed."""
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node.name().rpartition(":")[2]
        waiting += [following for following, _ in node.next_functions]
