"""Improved Deep Leakage from Gradients (iDLG)."""

from __future__ import annotations

from typing import ClassVar

from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.pixel_options import IDLGOptions


class IDLG(DLG):
    """Improved Deep Leakage from Gradients: DLG with the label read off the last layer first.

    Zhao et al., "iDLG: improved deep leakage from gradients", 2020, algorithm 1: only the pixels are
    searched.
    """

    Options: ClassVar[type[IDLGOptions]] = IDLGOptions
    options: IDLGOptions
