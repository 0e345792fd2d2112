"""How updates are compared, and which iterate is the answer, as options of attacks.

Nothing here needs torch: the losses are in `matching`, and the rules in `stopping`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.values import as_one_value, register_value

Distance: TypeAlias = Literal["cosine", "euclidean", "l1", "layerwise_cosine", "masked_cosine"]
DISTANCES: tuple[Distance, ...] = get_args(Distance)

Stop: TypeAlias = Literal["matching_loss", "discrepancy", "held_out"]
STOPS: tuple[Stop, ...] = get_args(Stop)
# Which restarts go on to their end; see `halving`.
Keep: TypeAlias = Literal["all", "halving"]
KEEPS: tuple[Keep, ...] = get_args(Keep)
# How the updates of candidates are matched; see `judging`.
Path: TypeAlias = Literal["factored", "general", "mixed"]

# For these the attacker must know of the defense at least its kind.
NEED_KNOWN_DEFENSE: frozenset[Stop] = frozenset({"discrepancy"})


@as_one_value
@dataclass(frozen=True)
class Linear:
    """Weights n/n, (n - 1)/n, ..., 1/n of n tensors, which fall with depth.

    They are those of the release of IG (Geiping et al., NeurIPS 2020).

    Attributes:
        linear: `falling` with depth, or `rising`.
    """

    linear: Literal["falling", "rising"]

    def __call__(self, count: int) -> list[float]:
        """Positive weights of `count` tensors, in the model's order."""
        rising = [(i + 1) / count for i in range(count)]
        return rising if self.linear == "rising" else rising[::-1]


@as_one_value
@dataclass(frozen=True)
class Exponential:
    """Weights 1, exp(-rate), exp(-2 rate), ...

    With rate 1, they are those of the release of IG (Geiping et al., NeurIPS 2020), under which only the
    first few tensors of a deep model count.

    Attributes:
        exponential: the rate of the decrease. With a negative rate, the weights rise with depth, and the
            last is 1.
    """

    exponential: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.exponential):
            raise BenchmarkError(f"weights: exponential must be finite, not {self.exponential}")

    def __call__(self, count: int) -> list[float]:
        """Positive weights of `count` tensors, in the model's order."""
        falling = [math.exp(-abs(self.exponential) * i) for i in range(count)]
        return falling if self.exponential >= 0 else falling[::-1]


LayerWeights: TypeAlias = Linear | Exponential


@dataclass(frozen=True)
class Matching:
    """How the distance of a candidate's update from the observed one is computed.

    Attributes:
        distance: `cosine`, `euclidean` (squared), `l1`, `layerwise_cosine`, or `masked_cosine`, which uses
            only the entries that are largest in the observed update.
        fraction: the fraction of the entries of each parameter tensor that `masked_cosine` uses, above 0
            and at most 1.
        weights: the weight of each parameter tensor, `{linear: falling}` or `{exponential: 1.0}`; `None`
            for equal weights.
    """

    distance: Distance
    fraction: float | None = None
    weights: LayerWeights | None = None

    def __post_init__(self) -> None:
        if self.distance not in DISTANCES:
            raise BenchmarkError(
                f"loss: no distance '{self.distance}'; there are: {', '.join(sorted(DISTANCES))}"
            )
        if (self.fraction is not None) != (self.distance == "masked_cosine"):
            raise BenchmarkError(
                "loss: fraction is for masked_cosine, which needs it; not "
                f"{self.fraction} for {self.distance}"
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise BenchmarkError(f"loss: fraction must be above 0 and at most 1, not {self.fraction}")

    @property
    def ignores_scale(self) -> bool:
        """Whether the distance does not change when the candidate is multiplied by a positive number."""
        return self.distance in ("cosine", "layerwise_cosine", "masked_cosine")


def simplest(loss: Distance | Matching) -> Distance | Matching:
    """The name of a distance alone, if it says everything: equal losses are then written in the same way.

    Raises:
        BenchmarkError: there is no such distance, or its name does not say everything.
    """
    matching = loss if isinstance(loss, Matching) else Matching(loss)
    if matching.fraction is None and matching.weights is None:
        return matching.distance
    return matching


def _plain(matching: Matching) -> str | dict[str, Any]:
    loss = simplest(matching)
    return asdict(loss) if isinstance(loss, Matching) else loss


register_value(Matching, _plain)
