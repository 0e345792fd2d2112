"""Improved Deep Leakage from Gradients (iDLG)."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.pixel_options import IDLGOptions


class IDLG(DLG):
    """Improved Deep Leakage from Gradients: DLG, after the label was read from the last layer.

    Zhao et al., "iDLG: improved deep leakage from gradients", 2020, algorithm 1. Only the pixels are
    searched.
    """

    Options: ClassVar[type[IDLGOptions]] = IDLGOptions
    options: IDLGOptions
