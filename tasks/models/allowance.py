"""Building a model that somebody's file names, without using more memory than its weights take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Tensors that layers make besides their parameters.
_BESIDE = 1 << 24
_CALLS = 200_000
_MAKE = frozenset(
    {
        torch.empty,
        torch.zeros,
        torch.ones,
        torch.full,
        torch.rand,
        torch.randn,
        torch.arange,
        torch.linspace,
    }
)


class Allowance(TorchFunctionMode):
    """Stops the building of a model that is larger than its weights, before it takes memory and time.

    Args:
        elements: the number of elements of all its tensors.
    """

    def __init__(self, elements: int) -> None:
        super().__init__()
        self._most, self._made, self._calls = 2 * elements + _BESIDE, 0, 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _MAKE and isinstance(made, Tensor):
            self._made += made.numel()
            self._calls += 1
            if self._made > self._most or self._calls > _CALLS:
                raise RuntimeError("it is larger than the weights that come with it")
        return made
