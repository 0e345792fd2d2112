"""The training losses of clients, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from gifd_bench.common.errors import UserError
from gifd_bench.common.registry import Registry
from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.errors import TaskError

# Of tensors; torch is not imported here, because commands that must start at once only name a loss.
LossFunction: TypeAlias = Callable[[Any, Any], Any]

_HERE = "gifd_bench.tasks.loss_functions"

LOSSES: Registry[Callable[..., Any]] = Registry(
    "loss",
    {
        "cross_entropy": f"{_HERE}:cross_entropy",
        "binary_cross_entropy": f"{_HERE}:binary_cross_entropy",
    },
)


@dataclass(frozen=True)
class Loss:
    """The loss that a client's training minimizes.

    Attributes:
        use: `cross_entropy`; `binary_cross_entropy` of each class, for images with several labels; or a
            function of your own, by import path or file (`my_loss.py:focal`), which takes logits (B,
            classes) and labels (B,) int64 or (B, classes), and returns a scalar.
        reduction: `mean` or `sum` over the images of a step.
        label_smoothing: the label smoothing of `cross_entropy`, in [0, 1).
        class_weights: a factor for each class, as PyTorch's `weight` of `cross_entropy` and `pos_weight` of
            `binary_cross_entropy`; `None` if all are 1.
    """

    use: str = "cross_entropy"
    reduction: Literal["mean", "sum"] = "mean"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_choices(self, "client.loss")
        if self.class_weights is not None:
            object.__setattr__(self, "class_weights", tuple(map(float, self.class_weights)))
            if not all(0 <= weight < float("inf") for weight in self.class_weights):
                raise TaskError(
                    f"client.loss.class_weights must not be negative, not {list(self.class_weights)}"
                )
        if not 0 <= self.label_smoothing < 1:
            raise TaskError(f"client.loss.label_smoothing must be in [0, 1), not {self.label_smoothing}")
        if self.label_smoothing and self.use != "cross_entropy":
            raise TaskError("client.loss.label_smoothing is an option of cross_entropy alone")
        own = LOSSES.canonical(self.use) not in LOSSES.bundled
        if own and (self.class_weights is not None or self.reduction != "mean"):
            raise TaskError(
                "client.loss: reduction and class_weights are options of bundled losses, not of "
                f"'{self.use}'"
            )

    @property
    def is_plain(self) -> bool:
        """Whether this is the mean cross-entropy, and nothing else."""
        return self == Loss()

    def function(self) -> LossFunction:
        """The loss as a function of logits (B, classes) and labels (B,) int64, or (B, classes).

        Raises:
            TaskError: there is no loss of this name.
        """
        try:
            found = LOSSES.find(self.use)
        except UserError as error:
            raise TaskError(str(error)) from error
        if LOSSES.canonical(self.use) not in LOSSES.bundled:
            return found
        return partial(
            found,
            reduction=self.reduction,
            class_weights=self.class_weights,
            **({"label_smoothing": self.label_smoothing} if self.label_smoothing else {}),
        )
