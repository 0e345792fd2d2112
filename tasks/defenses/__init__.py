"""Defenses that a client may apply to its update, and what an attacker makes of them."""

from __future__ import annotations

from gifd_bench.tasks.defenses.base import Defense, Imitation, NoDefense, PrivateBatch, Update
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.defenses.knowledge import describe, imitate
from gifd_bench.tasks.defenses.noise import GaussianNoise, LaplaceNoise
from gifd_bench.tasks.defenses.quantisation import Quantisation, Sign
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.defenses.top_k import TopK

__all__ = [
    "DEFENSES",
    "DPSGD",
    "Clipping",
    "Composition",
    "Defense",
    "GaussianNoise",
    "Imitation",
    "LaplaceNoise",
    "NoDefense",
    "PrivateBatch",
    "Quantisation",
    "Sign",
    "Soteria",
    "Sparsification",
    "TopK",
    "Update",
    "describe",
    "imitate",
]
