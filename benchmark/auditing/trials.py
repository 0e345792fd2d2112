"""Running the attacks of a plan, and reading what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from gifd_bench.benchmark.auditing.auditor import Auditor
from gifd_bench.benchmark.auditing.folder import PortfolioFolder, TrialFolder
from gifd_bench.benchmark.auditing.plan import AuditPlan, Trial
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.inversion.matching import Cosine
from gifd_bench.benchmark.inversion.reconstruction import doubt_about
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.common.errors import FileError, StorageError, one_line
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation

# How much more than its share an attack may take before it is stopped: its pace was only estimated.
PATIENCE = 1.25


@dataclass(frozen=True)
class Found:
    """What one attack found.

    Attributes:
        trial: the attack.
        images: (B, C, H, W) in [0, 1]; none if the attack failed.
        labels: (B,) int64.
        distance: 1 minus the cosine similarity of the update of exactly these images and the observed one,
            from 0 to 2. It is the same measure for all attacks, whatever each of them minimized.
        gradient_evaluations: the evaluations spent.
        seconds: the time spent.
        doubt: why its answer says nothing about how safe the update is.
        stopped: whether it was stopped before its last iteration.
        failure: why there is no answer.
    """

    trial: Trial
    images: Tensor
    labels: Tensor
    distance: float
    gradient_evaluations: int
    seconds: float
    doubt: str | None
    stopped: bool
    failure: str | None


class Deadline(Callback):
    """Stops an inversion that has taken too long, after an iteration; it then answers with what it has.

    Args:
        seconds: wall-clock time, from when the inversion begins or continues.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        if time.monotonic() - self._began > self._seconds:
            trainer.should_stop = True


def run_trials(
    plan: AuditPlan,
    identity: str,
    observation: Observation,
    priors: Mapping[str, Prior],
    seed: int,
    folder: PortfolioFolder,
    display: Display,
    stop: Callable[[], bool],
) -> None:
    """Run the attacks of a plan that have not ended; a failure affects only its attack.

    Args:
        plan: the plan of the audit.
        identity: a hash of the observation.
        observation: what is attacked.
        priors: the priors by their canonical text.
        seed: the seed of all randomness.
        folder: the folder of the audit.
        display: shows the progress.
        stop: is called after every iteration; if it returns true, the attack is interrupted.

    Raises:
        InversionInterrupted: it was asked to stop; running it again continues.
    """
    for trial in plan.trials:
        place = folder.trial(trial.label)
        if place.ended:
            continue
        attack, prior = trial.components()
        began = time.monotonic()
        try:
            Auditor(attack, prior).run(
                identity,
                observation,
                None if prior is None else priors[prior.canonical],
                seed,
                place,
                display,
                stop,
                [Deadline(PATIENCE * trial.seconds)],
            )
        except (InversionInterrupted, KeyboardInterrupt, StorageError):
            raise
        except Exception as error:
            place.write_failure(f"{type(error).__name__}: {one_line(error)}", time.monotonic() - began)
            display.end(trial.label, "failed")


def read_trials(plan: AuditPlan, observation: Observation, folder: PortfolioFolder) -> list[Found]:
    """What the attacks of a plan found: those that explain the update best first, and failed ones last.

    An attack that knows about noise has nothing to gain below the distance that the truth itself has.
    Attacks below it count as equally good.
    """
    client = SimulatedClient(observation, torch.device("cpu"))
    loss = Cosine()
    loss.prepare(client.observed)
    floor = float(loss.noise_floor(torch.as_tensor(client.imitation.noise_std).mean()))
    found = [_read(trial, folder.trial(trial.label), client, loss) for trial in plan.trials]
    return sorted(found, key=lambda one: (one.failure is not None, max(one.distance, floor)))


def _read(trial: Trial, folder: TrialFolder, client: SimulatedClient, loss: Cosine) -> Found:
    failure = folder.read_failure()
    none = torch.zeros(0, *client.observation.model.image_shape)
    if failure is None:
        try:
            record = folder.read()
            images, labels, curve = folder.read_answer()
            granted = client.observation.labels
            if granted is not None and granted.ndim == 2:
                labels = granted  # Of several labels an image has, the answer keeps the first.
            with torch.no_grad():
                distance = float(loss(client.update(images, labels)))
        except FileError as error:
            failure = str(error)
    if failure is not None:
        return Found(trial, none, torch.zeros(0, dtype=torch.int64), 2.0, 0, 0.0, None, False, failure)
    return Found(
        trial,
        images,
        labels,
        distance,
        record.gradient_evaluations,
        record.seconds,
        doubt_about(record.matching_loss, curve),
        bool(torch.isnan(curve).any()),
        None,
    )


def doubts(found: Sequence[Found]) -> list[str]:
    """Why none of the answers says anything about how safe the update is; empty if one of them does."""
    done = [one for one in found if one.failure is None]
    if not done or any(one.doubt is None for one in done):
        return []
    return [one.doubt for one in done if one.doubt]
