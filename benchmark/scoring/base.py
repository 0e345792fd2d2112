"""The interface of metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

# torch is not needed to name a metric: commands that must start at once do only that.
if TYPE_CHECKING:
    from torch import Tensor

    from gifd_bench.tasks.observation import Observation


class MetricMissing(Exception):
    """A metric is not available for these images; the message is one line that says why, and what to do."""


class Metric(ABC):
    """Compares reconstructions with the private images to which they were assigned.

    A subclass of your own is named in a matrix under `metrics`; its options are the arguments of
    `__init__`.

    Attributes:
        name: the name of its column.
        higher_is_better: whether a better reconstruction has a higher value.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]

    @abstractmethod
    def __call__(self, images: Tensor, truths: Tensor, observation: Observation | None) -> Tensor:
        """One number for each pair.

        Args:
            images: (B, 3, H, W) float32 in [0, 1], the reconstructions, in the order of the private images.
            truths: (B, 3, H, W) float32 in [0, 1], the private images.
            observation: what was attacked, for metrics that need the victim; `None` if it is not available.

        Returns:
            (B,) float32.

        Raises:
            MetricMissing: it is not available, for example because a file is missing.
        """
