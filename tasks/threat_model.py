"""What the attacker is granted in addition to the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gifd_bench.tasks.choices import check_choices


@dataclass(frozen=True)
class ThreatModel:
    """The knowledge of an honest-but-curious server.

    The update, the model with the weights that were sent out, the normalization and the number of images
    are always known.

    Attributes:
        labels: `known`, or `inferred` from the update.
        bn_statistics: the BatchNorm statistics with which an attack may match features: those of the
            private `batch`, the running ones of the `model`, or `none`.
        defense: `unknown`; known by its `kind`; or known with its `parameters`.
        local_settings: the client's epochs, local batch size, learning rate and BatchNorm mode: `known`, so
            that an attack can repeat the training for candidate images, or `unknown`.
    """

    labels: Literal["known", "inferred"] = "inferred"
    bn_statistics: Literal["none", "model", "batch"] = "model"
    defense: Literal["unknown", "kind", "parameters"] = "unknown"
    local_settings: Literal["known", "unknown"] = "known"

    def __post_init__(self) -> None:
        check_choices(self, "threat_model")
