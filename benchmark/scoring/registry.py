"""Metrics by name."""

from __future__ import annotations

import math

from gifd_bench.benchmark.scoring.base import Metric
from gifd_bench.common.registry import Registry

_HERE = "gifd_bench.benchmark.scoring.metrics"

METRICS: Registry[type[Metric]] = Registry(
    "metric",
    {
        "psnr": f"{_HERE}:PSNR",
        "ssim": f"{_HERE}:SSIM",
        "lpips_alex": f"{_HERE}:LPIPSAlex",
        "lpips_vgg": f"{_HERE}:LPIPSVGG",
        "mse": f"{_HERE}:MSE",
        "feature_mse": f"{_HERE}:FeatureMSE",
    },
    promise="gifd_bench.benchmark.scoring.base:Metric",
)

# A share of the labels and not a metric of images, which stands beside the metrics in every table.
LABEL_ACCURACY = "label_accuracy"
# The columns of every table, in their order.
COLUMNS = (*METRICS.bundled, LABEL_ACCURACY)
# Only runs have these, because they have the dataset: shares of the private images that are found among
# others of it.
IDENTIFIED, IDENTIFIED_TOP5 = "identified", "identified_top5"
IDENTIFICATION = (IDENTIFIED, IDENTIFIED_TOP5)

_SHARE = (0.0, 1.0)
# The least and the largest value of those that have one.
RANGES: dict[str, tuple[float, float]] = {
    "ssim": (-1.0, 1.0),
    "lpips_alex": (0.0, math.inf),
    "lpips_vgg": (0.0, math.inf),
    "mse": _SHARE,
    "feature_mse": (0.0, math.inf),
    LABEL_ACCURACY: _SHARE,
    IDENTIFIED: _SHARE,
    IDENTIFIED_TOP5: _SHARE,
}


def range_of(metric: str) -> tuple[float, float]:
    """The least and the largest value of a metric; infinite if it is not bounded."""
    return RANGES.get(metric, (-math.inf, math.inf))
