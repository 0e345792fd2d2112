"""Defenses by name."""

from __future__ import annotations

from gifd_bench.tasks.defenses.base import Defense, NoDefense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.defenses.noise import GaussianNoise, LaplaceNoise
from gifd_bench.tasks.defenses.quantisation import Quantisation, Sign
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.defenses.top_k import TopK

DEFENSES: dict[str, type[Defense]] = {
    "clipping": Clipping,
    "dp_sgd": DPSGD,
    "gaussian_noise": GaussianNoise,
    "laplace_noise": LaplaceNoise,
    "none": NoDefense,
    "quantisation": Quantisation,
    "sign": Sign,
    "soteria": Soteria,
    "sparsification": Sparsification,
    "top_k": TopK,
}
