"""Registered matching losses as text, so that they can be computed on the other side of a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.choices import Stop
from gifd_bench.benchmark.inversion.matching import (
    L1,
    Cosine,
    Euclidean,
    LayerwiseCosine,
    MaskedCosine,
    MatchingLoss,
)

Kind = Literal["Cosine", "LayerwiseCosine", "Euclidean", "L1", "MaskedCosine"]
# By the very class: a subclass may compute anything.
_PLAIN: dict[Kind, type[Cosine | LayerwiseCosine | Euclidean | L1]] = {
    "Cosine": Cosine,
    "LayerwiseCosine": LayerwiseCosine,
    "Euclidean": Euclidean,
    "L1": L1,
}
MOST_LANES = 4096
MOST_TENSORS = 100_000


@dataclass(frozen=True)
class _Listed:
    """Weights of parameter tensors, one by one."""

    values: list[float]

    def __call__(self, count: int) -> list[float]:
        if count != len(self.values):
            raise BenchmarkError(f"{len(self.values)} weights for {count} parameter tensors")
        return self.values


class LossOrder(BaseModel):
    """How candidates are judged.

    Attributes:
        kind: the kind of the matching loss.
        fraction: the fraction of `MaskedCosine`.
        weights: the weights of the parameter tensors; `None` for equal weights.
        stop: the rule that chooses the answer.
        lanes: the largest number of candidates that are judged at once.
        to_the_last_digit: as in `Judge`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    fraction: float | None = Field(default=None, gt=0, le=1)
    weights: list[float] | None = Field(default=None, max_length=MOST_TENSORS)
    stop: Stop
    lanes: int = Field(ge=1, le=MOST_LANES)
    to_the_last_digit: bool

    def loss(self) -> MatchingLoss:
        """The loss, which has not been prepared yet."""
        weights = None if self.weights is None else _Listed(self.weights)
        if self.kind == "MaskedCosine":
            if self.fraction is None:
                raise BenchmarkError("MaskedCosine without its fraction")
            return MaskedCosine(self.fraction, weights)
        return _PLAIN[self.kind](weights)


def loss_order(
    loss: MatchingLoss, stop: Stop, lanes: int, to_the_last_digit: bool, tensors: int
) -> LossOrder | None:
    """The description of a registered loss; `None` for any other, which its own process must compute.

    Args:
        loss: the loss of an attack.
        stop: the rule that chooses the answer.
        lanes: the largest number of candidates that are judged at once.
        to_the_last_digit: as in `Judge`.
        tensors: the number of parameters that were sent.
    """
    kinds: dict[type[MatchingLoss], Kind] = {kind: name for name, kind in _PLAIN.items()}
    kinds[MaskedCosine] = "MaskedCosine"
    if type(loss) not in kinds:
        return None
    return LossOrder(
        kind=kinds[type(loss)],
        fraction=loss.fraction if isinstance(loss, MaskedCosine) else None,
        weights=None if loss.weights is None else loss.weights(tensors),
        stop=stop,
        lanes=lanes,
        to_the_last_digit=to_the_last_digit,
    )


def read_order(text: bytes) -> LossOrder:
    """Read a description that was received.

    Raises:
        BenchmarkError: it is not one.
    """
    try:
        return LossOrder.model_validate_json(text)
    except ValidationError as error:
        raise BenchmarkError(f"no order of a matching loss ({error.errors()[0]['msg']})") from error
