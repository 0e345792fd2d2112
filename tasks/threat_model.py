"""What the attacker is granted besides the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gifd_bench.tasks.choices import check_choices


@dataclass(frozen=True)
class ThreatModel:
    """An honest-but-curious server's knowledge, as a value.

    The update, the model with the weights that were sent out, the normalization and the number of images
    are always known.

    Attributes:
        labels: `known`, or to be `inferred` from the update.
        bn_statistics: which BatchNorm statistics an attack may match features with: those of the private
            `batch`, the running ones of the `model`, or `none`.
        defense: `unknown`; known by its `kind`; or known with its `parameters`.
        local_settings: the client's epochs, local batch, learning rate and BatchNorm mode: `known`, so that
            its training can be unrolled, or `unknown`.
    """

    labels: Literal["known", "inferred"] = "inferred"
    bn_statistics: Literal["none", "model", "batch"] = "model"
    defense: Literal["unknown", "kind", "parameters"] = "unknown"
    local_settings: Literal["known", "unknown"] = "known"

    def __post_init__(self) -> None:
        check_choices(self, "threat_model")
