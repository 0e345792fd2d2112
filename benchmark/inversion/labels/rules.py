"""Label inference: what the last layer's update says of the private labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from gifd_bench.benchmark.inversion.labels.counting import counts
from gifd_bench.benchmark.inversion.labels.distinct import idlg, row_minimum, row_sum
from gifd_bench.tasks.observation import Observation

LabelRule = Literal["idlg", "row_minimum", "row_sum", "counts"]

RULES: dict[LabelRule, Callable[[Observation], Tensor]] = {
    "idlg": idlg,
    "row_minimum": row_minimum,
    "row_sum": row_sum,
    "counts": counts,
}


def infer_labels(observation: Observation, rule: LabelRule = "counts") -> Tensor:
    """The batch's labels as the attacker believes them: (B,) int64, in no order that means anything.

    Those that the threat model grants, or else what a rule reads from the last linear layer's update. A
    difference of parameters after local training is read as the mean gradient of the local steps.

    Args:
        observation: see there.
        rule: `idlg` for one image; `row_minimum` and `row_sum` for a batch without two labels alike;
            `counts` for any batch.

    Raises:
        BenchmarkError: the rule does not fit the batch.
        TaskError: the model does not end in a linear layer.
    """
    if observation.labels is not None:
        return observation.labels
    return RULES[rule](observation)
