"""How to rebuild a victim model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gifd_bench.common.errors import UserError, one_line
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.registry import INPUTS, MODELS

# torch is imported where a model is built: commands that must start at once only name it.
if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """The architecture of a victim. Its weights are kept separately.

    Building a model from outside the package imports code. Look at `imports` before you build a spec that
    you got from somebody else.

    Attributes:
        name: the name of a bundled model, or of one from outside: by file (`my_net.py:Net`), by import path
            (`my_net:Net`), or by the name that an installed package gives it.
        num_classes: the number of logits for an image.
        image_size: side of the images in pixels; (height, width) if they are not square.
        options: options of the class or function behind the name, as JSON values.
        channels: channels of the images.
    """

    name: str
    num_classes: int
    image_size: int | tuple[int, int]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    channels: int = 3

    def __post_init__(self) -> None:
        height, width = sides(self.image_size)
        object.__setattr__(self, "image_size", height if height == width else (height, width))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (self.channels, *sides(self.image_size))

    @property
    def imports(self) -> str | None:
        """The name whose code `build` imports; `None` if the model is bundled."""
        return None if MODELS.canonical(self.name) in MODELS.bundled else self.name

    def identity(self) -> list[Any]:
        """What distinguishes the model from others, as JSON values.

        For a model from outside, the source of its file is part of it, and the name of the file is not.

        Raises:
            TaskError: there is no such model.
        """
        try:
            code = MODELS.code(self.name)
        except UserError as error:
            raise TaskError(str(error)) from error
        name = MODELS.canonical(self.name) if code is None else asdict(code)
        told = [name, self.num_classes, self.image_size, dict(self.options)]
        return told if self.channels == 3 else [*told, self.channels]

    def build(self, seed: int = 0, most: int | None = None) -> nn.Module:
        """Build the model in evaluation mode, with random weights.

        Args:
            seed: the seed of the random weights, and the only thing that they depend on.
            most: the number of elements of its weights, if it is known; the building of a model that is far
                larger is stopped.

        Raises:
            TaskError: there is no model of this name, or it does not take the options.
        """
        import torch
        from torch import nn

        from gifd_bench.tasks.models.allowance import Allowance
        from gifd_bench.tasks.models.outputs import only_logits

        try:
            model = MODELS.find(self.name)
        except UserError as error:
            raise TaskError(str(error)) from error
        allowance: AbstractContextManager[Any] = nullcontext() if most is None else Allowance(most)
        with torch.random.fork_rng(devices=[]), allowance:
            # The CPU's generator alone: `torch.manual_seed` also notes the whole stack for each kind of
            # device that is not in use, which takes longer than building a small model.
            torch.default_generator.manual_seed(seed)
            try:
                built = model(**self._arguments(inspect.signature(model)))
            except TaskError:
                raise
            except Exception as error:  # It may be somebody else's code.
                kind = f"{type(error).__name__}: " if self.imports else ""
                raise TaskError(f"model '{self.name}' cannot be built: {kind}{one_line(error)}") from error
        if not isinstance(built, nn.Module):
            raise TaskError(f"model '{self.name}' is a {type(built).__name__}, not a torch.nn.Module")
        built.register_forward_hook(only_logits)
        return built.eval()

    def _arguments(self, signature: inspect.Signature) -> dict[str, Any]:
        """The options, and those of the standard arguments that the model takes."""
        takes = signature.parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
        unknown = self.options.keys() - (takes.keys() - INPUTS)
        if unknown and not open_ended:
            raise TaskError(f"model '{self.name}' takes no option '{min(unknown)}'")
        given = {
            "num_classes": self.num_classes,
            "image_size": self.image_size,
            "image_channels": self.channels,
        }
        return {name: value for name, value in given.items() if name in takes} | dict(self.options)


def sides(image_size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width, from the side of square images or from the two."""
    if not isinstance(image_size, Sequence):
        return image_size, image_size
    height, width = image_size
    return height, width
