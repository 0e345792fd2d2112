"""How much of a client's private images does a gradient give away?

Given a victim `model` (a `torch.nn.Module` that takes (B, 3, 32, 32) and gives (B, classes)), the
`gradients` of its mean loss on one image, and that image (1, 3, 32, 32) in [0, 1] with its label (1,):

    import gifd_bench as gb

    observation = gb.Observation.from_gradients(model, gradients, batch_size=1, image_size=32)
    result = gb.invert(observation, attack="gifd", prior="cifar10", iterations=100)
    scores = gb.score(result, gb.Truth(image, label), observation)
    print(result.images, result.labels, scores.mean("psnr"))

Every public name is a name of this package, and a module is imported when a name of it is first used.
Attacks, priors, datasets, models, defenses and metrics are named as `gifd-bench list` shows them. What the
caller did wrong is raised as a `gb.UserError` of one line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gifd_bench.benchmark.attacks.base import Attack as Attack
    from gifd_bench.benchmark.attacks.options import AttackOptions as AttackOptions
    from gifd_bench.benchmark.attacks.options import Stage as Stage
    from gifd_bench.benchmark.auditing.audit import AuditReport as AuditReport
    from gifd_bench.benchmark.auditing.audit import audit as audit
    from gifd_bench.benchmark.inversion.labels.rules import infer_labels as infer_labels
    from gifd_bench.benchmark.inversion.penalties import Iterate as Iterate
    from gifd_bench.benchmark.inversion.penalties import Penalty as Penalty
    from gifd_bench.benchmark.inversion.reconstruction import Reconstruction as Reconstruction
    from gifd_bench.benchmark.inversion.search import Lane as Lane
    from gifd_bench.benchmark.inversion.search import Search as Search
    from gifd_bench.benchmark.scoring.base import Metric as Metric
    from gifd_bench.benchmark.scoring.base import MetricMissing as MetricMissing
    from gifd_bench.benchmark.scoring.scorer import Scores as Scores
    from gifd_bench.benchmark.scoring.scorer import score as score
    from gifd_bench.benchmark.self_check import LayerCheck as LayerCheck
    from gifd_bench.benchmark.self_check import ObservationCheck as ObservationCheck
    from gifd_bench.benchmark.self_check import check_observation as check_observation
    from gifd_bench.benchmark.shortcuts import invert as invert
    from gifd_bench.common.errors import UserError as UserError
    from gifd_bench.priors.base import UNKNOWN_CLASS as UNKNOWN_CLASS
    from gifd_bench.priors.base import Prior as Prior
    from gifd_bench.priors.base import State as State
    from gifd_bench.tasks.capture.flower import flower_mod as flower_mod
    from gifd_bench.tasks.capture.flower import from_flower as from_flower
    from gifd_bench.tasks.capture.frameworks import CaptureCallback as CaptureCallback
    from gifd_bench.tasks.capture.frameworks import from_nvflare as from_nvflare
    from gifd_bench.tasks.capture.frameworks import opacus_defense as opacus_defense
    from gifd_bench.tasks.capture.step import Capture as Capture
    from gifd_bench.tasks.capture.step import capture as capture
    from gifd_bench.tasks.client import ClientSettings as ClientSettings
    from gifd_bench.tasks.client import FedAvg as FedAvg
    from gifd_bench.tasks.datasets.base import Dataset as Dataset
    from gifd_bench.tasks.defenses.base import Defense as Defense
    from gifd_bench.tasks.defenses.base import Imitation as Imitation
    from gifd_bench.tasks.defenses.base import PrivateBatch as PrivateBatch
    from gifd_bench.tasks.losses import Loss as Loss
    from gifd_bench.tasks.models.spec import ModelSpec as ModelSpec
    from gifd_bench.tasks.observation import KnownDefense as KnownDefense
    from gifd_bench.tasks.observation import Observation as Observation
    from gifd_bench.tasks.threat_model import ThreatModel as ThreatModel
    from gifd_bench.tasks.truth import Truth as Truth

# The module that each public name is imported from when it is first used.
_MODULES = {
    "Attack": "benchmark.attacks.base",
    "AttackOptions": "benchmark.attacks.options",
    "AuditReport": "benchmark.auditing.audit",
    "Capture": "tasks.capture.step",
    "CaptureCallback": "tasks.capture.frameworks",
    "ClientSettings": "tasks.client",
    "Dataset": "tasks.datasets.base",
    "Defense": "tasks.defenses.base",
    "FedAvg": "tasks.client",
    "Imitation": "tasks.defenses.base",
    "Iterate": "benchmark.inversion.penalties",
    "KnownDefense": "tasks.observation",
    "Loss": "tasks.losses",
    "LayerCheck": "benchmark.self_check",
    "Lane": "benchmark.inversion.search",
    "Metric": "benchmark.scoring.base",
    "MetricMissing": "benchmark.scoring.base",
    "ModelSpec": "tasks.models.spec",
    "Observation": "tasks.observation",
    "ObservationCheck": "benchmark.self_check",
    "Penalty": "benchmark.inversion.penalties",
    "Prior": "priors.base",
    "PrivateBatch": "tasks.defenses.base",
    "Reconstruction": "benchmark.inversion.reconstruction",
    "Scores": "benchmark.scoring.scorer",
    "Search": "benchmark.inversion.search",
    "Stage": "benchmark.attacks.options",
    "State": "priors.base",
    "ThreatModel": "tasks.threat_model",
    "Truth": "tasks.truth",
    "UNKNOWN_CLASS": "priors.base",
    "UserError": "common.errors",
    "audit": "benchmark.auditing.audit",
    "check_observation": "benchmark.self_check",
    "capture": "tasks.capture.step",
    "flower_mod": "tasks.capture.flower",
    "from_flower": "tasks.capture.flower",
    "from_nvflare": "tasks.capture.frameworks",
    "infer_labels": "benchmark.inversion.labels.rules",
    "invert": "benchmark.shortcuts",
    "opacus_defense": "tasks.capture.frameworks",
    "score": "benchmark.scoring.scorer",
}

__all__ = sorted(_MODULES)


if not TYPE_CHECKING:  # A type checker would take every name for a public one.

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
