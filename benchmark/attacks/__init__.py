"""Attacks, by name: one file each."""

from __future__ import annotations

from benchmark.attacks.base import Attack, Stage
from benchmark.attacks.gifd import GIFD
from benchmark.attacks.ig import IG
from benchmark.attacks.latent import Latent

ATTACKS: dict[str, type[Attack]] = {
    "ig": IG,
    "latent": Latent,
    "gifd": GIFD,
}

__all__ = ["ATTACKS", "GIFD", "IG", "Attack", "Latent", "Stage"]
