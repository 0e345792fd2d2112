"""Label rules by name, and what each of them can infer; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from gifd_bench.common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from gifd_bench.tasks.observation import Observation

LabelRule: TypeAlias = "Callable[[Observation], Tensor]"

_HERE = "gifd_bench.benchmark.inversion.labels"

LABEL_RULES: Registry[LabelRule] = Registry(
    "label rule",
    {
        "idlg": f"{_HERE}.distinct:idlg",
        "row_minimum": f"{_HERE}.distinct:row_minimum",
        "row_sum": f"{_HERE}.distinct:row_sum",
        "counts": f"{_HERE}.counting:counts",
        "restoration": f"{_HERE}.restoring:restoration",
    },
)

# Rules for a single image, and rules that find each class once at most.
FOR_ONE_IMAGE = frozenset({"idlg"})
FOR_DISTINCT_LABELS = frozenset({"row_minimum", "row_sum"})


def unmet_by_rule(name: str, images: int, classes: int | None) -> str | None:
    """Why a rule cannot infer the labels of a batch, in one line; `None` if it can.

    Args:
        name: the name of the rule, or the path of one from outside, about which nothing is known here.
        images: the number of images in the batch.
        classes: the number of classes of the victim; `None` if it is not known yet.
    """
    rule = LABEL_RULES.canonical(name)
    if rule in FOR_ONE_IMAGE and images > 1:
        return f"label_rule={rule} is for one image, and the server sees the update of {images}"
    if rule in FOR_DISTINCT_LABELS and classes is not None and images > classes:
        return f"label_rule={rule} finds each class once, and {images} images have only {classes} classes"
    return None


def infer_labels(observation: Observation, rule: str = "restoration") -> Tensor:
    """The labels of a batch, as the attacker believes them to be.

    They are the labels that the threat model grants, or else those that a rule reads from the update. A
    difference of parameters after local training is read as the mean gradient of the local steps.

    Args:
        observation: everything that the attacker sees.
        rule: `idlg` for one image; `row_minimum` and `row_sum` for a batch in which no label occurs twice;
            `counts` and, with more information, `restoration` for any batch; or a rule from outside.

    Returns:
        (B,) int64; the order has no meaning.

    Raises:
        BenchmarkError: the rule does not fit the batch.
        TaskError: the model does not end in a linear layer.
        UserError: there is no such rule.
    """
    if observation.labels is not None:
        return observation.labels
    return LABEL_RULES.find(rule)(observation)
