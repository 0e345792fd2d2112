"""What a defense is to a client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor


class Defense(ABC):
    """A change that the client makes to its update before sending it."""

    @abstractmethod
    def apply(self, update: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """The update that is sent, by parameter name; the one given is left as it is."""


class NoDefense(Defense):
    """The update is sent as it is."""

    def apply(self, update: Mapping[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        return dict(update)
