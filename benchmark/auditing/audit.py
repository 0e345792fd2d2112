"""Auditing one update: from what the server sees to the page that says what could be read from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.auditing.folder import PortfolioFolder
from gifd_bench.benchmark.auditing.images import (
    bundled_distractors,
    named_distractors,
    read_images,
    read_labels,
)
from gifd_bench.benchmark.auditing.owner import Owned, score
from gifd_bench.benchmark.auditing.page import Page
from gifd_bench.benchmark.auditing.plan import AuditPlan, make_plan
from gifd_bench.benchmark.auditing.portfolio import Wanted, portfolio
from gifd_bench.benchmark.auditing.trials import read_trials, run_trials
from gifd_bench.benchmark.auditing.verdict import AuditVerdict, JudgedAnswer, Outcome, judge
from gifd_bench.benchmark.auditing.wording import advice_for, assumptions_of, labels_of
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.files import write_json, write_text
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.capture import values
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import tensors_of
from gifd_bench.tasks.stated import stated

SECONDS = 600.0


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        outcome: `recognized`, `partly`, `not_recognized`; `unjudged` if the truth is not given; or
            `unexplained` if the update is described wrongly, or no attack explains it, which says nothing
            about safety.
        verdict: the verdict, with its reasons.
        page: the HTML file.
    """

    outcome: Outcome
    verdict: AuditVerdict
    page: Path


def audit(
    observation: Observation,
    output: Path | str,
    *,
    images: Any = None,
    labels: Any = None,
    distractors: str | None = None,
    seconds: float = SECONDS,
    attacks: Sequence[str] = (),
    priors: Sequence[str] = (),
    seed: int = 0,
    progress: bool = True,
) -> AuditReport:
    """Attack an update with everything available, and write a page that says what could be read from it.

    A second call with the same output folder continues where the first one stopped; no attack runs twice.

    Args:
        observation: everything that the server sees; for a capture, `captured.observation(...)`.
        output: the folder of the audit, which holds nothing else.
        images: the private batch, for a verdict: (B, C, H, W) in [0, 1], before any normalization; or the
            path of a file or folder of images. No attack sees it.
        labels: its labels, (B,) numbers or names of classes.
        distractors: a folder of images, or the name of a dataset, of the same kind as the private images,
            from which these are to be told apart; by default, crops of the bundled photographs.
        seconds: wall-clock time for all attacks together.
        attacks: names of attacks; by default, all that the threat model allows.
        priors: names of priors; by default, all bundled ones whose files are on this machine.
        seed: the seed of all randomness.
        progress: whether to show a bar on standard error.

    Returns:
        The verdict, and the path of the page.

    Raises:
        UserError: the folder holds something else, or one of the arguments is wrong.
    """
    owned = None
    shape = observation.model.image_shape
    if images is not None:
        tensor = (
            read_images([Path(images)], shape)
            if isinstance(images, str | Path)
            else torch.as_tensor(images).detach().to("cpu", torch.float32)
        )
        owned = Owned.of(
            observation,
            tensor,
            _labels(labels, observation),
            bundled_distractors(shape) if distractors is None else named_distractors(distractors, shape),
        )
    wanted = Wanted.from_names(attacks, priors)
    work = Audit(observation, PortfolioFolder(Path(output)), wanted, seconds, seed)
    work.prepare()
    if progress:
        with ProgressDisplay(Terminal(stderr=True), work.trials, work.ended) as display:
            work.attack(display, lambda: False)
    else:
        work.attack(Silent(), lambda: False)
    return work.report(owned)


def _labels(given: Any, observation: Observation) -> Tensor | None:
    if given is None:
        return None
    if isinstance(given, Sequence) and any(isinstance(one, str) for one in given):
        return read_labels([str(one) for one in given], observation.class_names)
    return values.label_tensor(given, observation.model.num_classes)


class Silent:
    """A display that shows nothing."""

    def begin(self, title: str, iterations: int) -> None:
        """Ignore that an inversion begins."""

    def iterate(self, iteration: int) -> None:
        """Ignore the number of iterations."""

    def end(self, title: str, status: str) -> None:
        """Ignore that the inversion has ended."""


class Audit:
    """The audit of one observation.

    Args:
        observation: everything that the server sees.
        folder: the output folder.
        wanted: attacks and priors that may be used.
        seconds: wall-clock time for all attacks together.
        seed: the seed of all randomness.
        title: the title of the page.
    """

    def __init__(
        self,
        observation: Observation,
        folder: PortfolioFolder,
        wanted: Wanted,
        seconds: float,
        seed: int,
        title: str = "Audit of one update",
    ) -> None:
        if not seconds > 0:
            raise BenchmarkError(f"seconds must be above 0, not {seconds:g}")
        self.observation, self.folder, self.wanted = observation, folder, wanted
        self.seconds, self.seed, self.title = seconds, seed, title
        self._identity = identity_of(observation)
        self._plan = AuditPlan((), ())
        self._priors: dict[str, Prior] = {}

    @property
    def trials(self) -> int:
        """The number of attacks in the plan."""
        return len(self._plan.trials)

    @property
    def ended(self) -> int:
        """The number of attacks in the plan that have ended."""
        return sum(self.folder.trial(trial.label).ended for trial in self._plan.trials)

    def prepare(self) -> None:
        """Open the folder and, if there is no plan yet, make it: which attacks, for how long.

        Raises:
            BenchmarkError: the folder holds something else, or no attack can be started.
        """
        candidates, excluded = portfolio(self.observation, self.wanted)
        self.folder.open_for(
            {
                "observation": self._identity,
                "seconds": self.seconds,
                "seed": self.seed,
                **self.wanted.config(),
            }
        )
        self._priors = {prior.canonical: prior.build() for prior in self.wanted.priors}
        if not self.folder.plan.is_file():
            plan = make_plan(self.observation, candidates, excluded, self._priors, self.seconds)
            plan.write(self.folder.plan)
        self._plan = AuditPlan.read(self.folder.plan)

    def attack(self, display: Display, stop: Callable[[], bool]) -> None:
        """Run the attacks of the plan that have not ended.

        Args:
            display: shows the progress.
            stop: is called after every iteration; if it returns true, the attack is interrupted.

        Raises:
            InversionInterrupted: it was asked to stop; running it again continues.
        """
        run_trials(
            self._plan,
            self._identity,
            self.observation,
            self._priors,
            self.seed,
            self.folder,
            display,
            stop,
        )

    def report(self, owned: Owned | None) -> AuditReport:
        """Judge what was found, and write the page.

        Args:
            owned: the truth, if the owner gives it; no attack has seen it.
        """
        observation, plan = self.observation, self._plan
        judged = tuple(
            JudgedAnswer(found, None if owned is None else score(found, owned))
            for found in read_trials(plan, observation, self.folder)
        )
        check = None if owned is None else owned.check(observation)
        verdict = judge(judged, observation.batch_size, owned, check)
        page = Page(
            self.title,
            verdict,
            judged,
            owned,
            check,
            labels_of(observation, owned),
            tuple(assumptions_of(observation)),
            tuple(advice_for(verdict.outcome, observation, self.seconds)),
            plan,
            self._facts(),
        )
        write_text(self.folder.page, page.html())
        write_json(self.folder.verdict, _numbers(verdict))
        return AuditReport(verdict.outcome, verdict, self.folder.page)

    def _facts(self) -> dict[str, str]:
        observation = self.observation
        channels, height, width = observation.model.image_shape
        return {
            "model": f"{observation.model.name}, {observation.model.num_classes} classes",
            "images": f"{observation.batch_size} of {height}x{width} pixels, {channels} channels",
            "update": "a difference of parameters" if observation.is_difference else "a gradient",
            "time": f"{self.seconds:g} s for all attacks together, seed {self.seed}",
            "folder": str(self.folder.path),
        }


def identity_of(observation: Observation) -> str:
    """A hash of everything that an observation holds."""
    hashed = hashlib.sha256()
    model = observation.model
    facts = {
        "model": [model.name, model.num_classes, model.image_shape, dict(model.options)],
        "is_difference": observation.is_difference,
        "mean": observation.mean,
        "std": observation.std,
        "class_names": observation.class_names,
        "batch_size": observation.batch_size,
        "threat_model": asdict(observation.threat_model),
        "client": None if observation.client is None else stated(observation.client),
        "defenses": None
        if observation.defenses is None
        else [
            (one.name, None if one.parameters is None else dict(one.parameters))
            for one in observation.defenses
        ],
    }
    hashed.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in tensors_of(observation).items():
        hashed.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()


def _numbers(verdict: AuditVerdict) -> dict[str, Any]:
    """The verdict for programs that read the outcome."""
    best = verdict.best
    return {
        "outcome": verdict.outcome,
        "sentences": list(verdict.sentences),
        "images": verdict.images,
        "recognized": verdict.recognized,
        "identified": verdict.identified,
        "best": None if best is None else best.found.trial.label,
        "chosen": None if verdict.chosen is None else verdict.chosen.found.trial.label,
        "scores": []
        if best is None or best.score is None
        else [{"place": one.place, "psnr": one.psnr, "ssim": one.ssim} for one in best.score.images],
    }
