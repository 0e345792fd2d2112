"""The defenses by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gifd_bench.common.registry import Registry

if TYPE_CHECKING:
    from gifd_bench.tasks.defenses.base import Defense

_HERE = "gifd_bench.tasks.defenses"

DEFENSES: Registry[type[Defense]] = Registry(
    "defense",
    {
        "clipping": f"{_HERE}.clipping:Clipping",
        "dp_sgd": f"{_HERE}.dp_sgd:DPSGD",
        "gaussian_noise": f"{_HERE}.noise:GaussianNoise",
        "laplace_noise": f"{_HERE}.noise:LaplaceNoise",
        "none": f"{_HERE}.base:NoDefense",
        "quantisation": f"{_HERE}.quantisation:Quantisation",
        "sign": f"{_HERE}.quantisation:Sign",
        "soteria": f"{_HERE}.soteria:Soteria",
        "sparsification": f"{_HERE}.sparsification:Sparsification",
        "top_k": f"{_HERE}.top_k:TopK",
    },
    promise=f"{_HERE}.base:Defense",
    # Cells and observations are stored under the British spelling.
    spellings={"quantization": "quantisation"},
)
