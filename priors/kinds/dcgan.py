"""DCGAN (Radford et al., "Unsupervised representation learning with deep convolutional generative
adversarial networks", ICLR 2016) at 32x32: its published file."""

from __future__ import annotations

from pathlib import Path

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.base import Prior, PriorKind, Variant, stages_by_side
from gifd_bench.priors.kinds.files import absent_file

# The latent, then the feature after each activation (4x4 to 32x32).
STAGES = stages_by_side(4)


def dcgan(weights: Path | None = None) -> Prior:
    """DCGAN at 32x32 (CIFAR-10, unconditional), the prior of GIAS for small images.

    Args:
        weights: a file with the generator's state dict.
    """
    if weights is None:
        raise PriorError("dcgan: no weights: give a file with the generator's state dict")
    from gifd_bench.priors.generators.dcgan import load_dcgan

    return load_dcgan(weights)


def _empty() -> Prior:
    from gifd_bench.priors.generators.dcgan import empty_dcgan

    return empty_dcgan()


DCGAN = PriorKind(
    factory=dcgan,
    origin="file",
    stage_names=lambda _: STAGES,
    absent_files=lambda arguments: absent_file(arguments["weights"]),
    variants=(Variant("cifar10", 32, 0, 100, 3_573_824, STAGES, _empty),),
)
