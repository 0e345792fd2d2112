"""A check that every new tensor names its device; otherwise it is on the wrong one if there is a GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.tasks.models.allowance import Allowance

FACTORIES: frozenset[Callable[..., Any]] = frozenset(
    {
        torch.arange,
        torch.as_tensor,
        torch.empty,
        torch.eye,
        torch.full,
        torch.hann_window,
        torch.linspace,
        torch.logspace,
        torch.normal,
        torch.ones,
        torch.rand,
        torch.randint,
        torch.randn,
        torch.randperm,
        torch.tensor,
        torch.tril_indices,
        torch.triu_indices,
        torch.zeros,
    }
)
# Libraries, which move what they make, or make what is to be on the CPU, as the step counts of optimizers.
LIBRARIES = frozenset(
    {"lightning_fabric", "opacus", "pytorch_lightning", "timm", "torch", "torchmetrics", "torchvision"}
)


class DevicesNamed(TorchFunctionMode):
    """Raises `Broken` at the end of the block if a tensor was made in it without naming a device.

    A generator names the device too, and so does an existing tensor that is only converted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in FACTORIES and not _is_placed(args, given):
            caller = sys._getframe(1)
            while caller.f_globals.get("__name__") == Allowance.__module__ and caller.f_back is not None:
                # It only counts what others make.
                caller = caller.f_back
            if str(caller.f_globals.get("__name__", "")).partition(".")[0] not in LIBRARIES:
                place = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"
                self._found.append(f"torch.{func.__name__} in line {place}")
        return func(*args, **given)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        if error is None and self._found:
            found = ", ".join(dict.fromkeys(self._found))
            raise Broken(f"{found} names no device: give it that of the tensors at hand, device=x.device")


def _is_placed(args: Sequence[Any], given: Mapping[str, Any]) -> bool:
    if given.get("device") is not None or given.get("generator") is not None:
        return True
    return any(isinstance(arg, Tensor) for arg in (*args, *given.values()))
