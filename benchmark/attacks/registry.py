"""Attacks, by name: one file each."""

from __future__ import annotations

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.dlg import DLG
from gifd_bench.benchmark.attacks.ggl import GGL
from gifd_bench.benchmark.attacks.gi import GI
from gifd_bench.benchmark.attacks.gias import GIAS
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.gifd_ood import GIFDOOD
from gifd_bench.benchmark.attacks.gion import GION
from gifd_bench.benchmark.attacks.idlg import IDLG
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.latent import Latent

ATTACKS: dict[str, type[Attack]] = {
    "dlg": DLG,
    "idlg": IDLG,
    "ig": IG,
    "gi": GI,
    "ggl": GGL,
    "gias": GIAS,
    "gion": GION,
    "latent": Latent,
    "gifd": GIFD,
    "gifd_ood": GIFDOOD,
}
