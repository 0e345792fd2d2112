"""The logits among everything that a model may return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


def only_logits(model: nn.Module, inputs: Any, output: Any) -> Any:
    """A forward hook that returns only the logits; an output without logits is left as it is.

    The logits are the output itself, its entry or attribute `logits`, the first tensor of a tuple or list,
    or the only tensor of a mapping.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        tensors = [value for value in output.values() if isinstance(value, Tensor)]
        return output.get("logits", tensors[0] if len(tensors) == 1 else output)
    named = getattr(output, "logits", None)
    if isinstance(named, Tensor):
        return named
    if isinstance(output, list | tuple):
        return next((value for value in output if isinstance(value, Tensor)), output)
    return output
