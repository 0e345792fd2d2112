"""Improved Deep Leakage from Gradients (iDLG)."""

from __future__ import annotations

from typing import Any, ClassVar

from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.inversion.labels.rules import LabelRule
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


class IDLG(DLG):
    """Improved Deep Leakage from Gradients: DLG with the label read off the last layer first.

    Zhao et al., "iDLG: improved deep leakage from gradients", 2020, algorithm 1: only the pixels are
    searched.

    Args:
        label_rule: null for the paper's, `idlg`, which is for a single image, and for `counts` with more.
        common: see `DLG`.
    """

    searches_labels: ClassVar[bool] = False

    def __init__(self, label_rule: LabelRule | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.given_rule = label_rule

    def observe(self, observation: Observation, prior: Prior | None, seed: int) -> None:
        self.label_rule = self.given_rule or ("idlg" if observation.batch_size == 1 else "counts")
        super().observe(observation, prior, seed)
