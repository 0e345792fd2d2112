"""How to rebuild a victim model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class ModelSpec:
    """A victim's architecture by registered name; its weights travel apart.

    A name is looked up, and only the model `custom` imports what its options say: before building a spec
    from somebody else's lab, look at `imports`.
    """

    name: str
    num_classes: int
    image_size: int
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def imports(self) -> str | None:
        """The import path whose code `build` runs, null where that is this package's own choice."""
        return str(self.options.get("path", "")) if self.name == "custom" else None

    def build(self, seed: int = 0) -> nn.Module:
        """The model in evaluation mode, its random weights drawn from `seed` alone.

        Raises:
            TaskError: no model of this name, or options that it does not take.
        """
        from gifd_bench.tasks.models.registry import MODELS

        if self.name not in MODELS:
            raise TaskError(f"no model '{self.name}'; there are: {', '.join(sorted(MODELS))}")
        model = MODELS[self.name]
        unknown = self.options.keys() - inspect.signature(model).parameters.keys()
        if unknown:
            raise TaskError(f"model '{self.name}' takes no option '{min(unknown)}'")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                built = model(num_classes=self.num_classes, image_size=self.image_size, **self.options)
            except TaskError:
                raise
            except (TypeError, ValueError, RuntimeError, AssertionError) as error:
                detail = one_line(error)
                raise TaskError(f"model '{self.name}' cannot be built: {detail}") from error
        return built.eval()
