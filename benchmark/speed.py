"""The speed of attacks, beside a bare loop of double backward and one first-order gradient."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.optim import Adam

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.inversion.choices import Path as MatchingPath
from gifd_bench.benchmark.inversion.matching import Cosine
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import invert
from gifd_bench.common.threads import operation_threads
from gifd_bench.priors.base import Prior
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

MIB = 2**20
# The height and width of an image in pixels.
SIZE = 32


@dataclass(frozen=True)
class Victim:
    """A victim model for a measurement.

    Attributes:
        label: the name in the table.
        model: the name of the model.
        architecture: the architecture of torchvision or timm; `None` for other models.
    """

    label: str
    model: str
    architecture: str | None = None


@dataclass(frozen=True)
class SpeedCase:
    """An attack to measure.

    Attributes:
        attack: the name of the attack.
        prior: the name of its prior; `None` if it needs none.
        lanes: restarts that run side by side.
    """

    attack: str
    prior: str | None
    lanes: int


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        iterations: iterations of each stage; the first one, which sets things up, is not counted.
        turns: how often everything is measured; the medians are reported.
    """

    iterations: int
    turns: int


@dataclass(frozen=True)
class Speed:
    """One row of the table.

    Attributes:
        victim, device, attack, prior, lanes, stage: what was measured.
        path: how updates were compared: `factored`, `general` or `mixed`.
        evaluations: gradient evaluations per second, of all lanes together.
        gradients: the time of an evaluation, in first-order gradients of the same image.
        bare: the time of an iteration of a bare loop of double backward (cosine distance and Adam on
            pixels), in the same unit.
        memory: MiB at the peak, in addition to those before the inversion began; `None` if the system does
            not report it.
    """

    victim: str
    device: str
    attack: str
    prior: str | None
    lanes: int
    stage: str
    path: MatchingPath
    evaluations: float
    gradients: float
    bare: float
    memory: float | None


def cases_of(attacks: Sequence[str], priors: Sequence[str], lanes: Sequence[int]) -> list[SpeedCase]:
    """Every attack with every prior, where it needs one, and every number of lanes."""
    return [
        SpeedCase(attack, prior, count)
        for attack in attacks
        for prior in (priors if ATTACKS.find(attack).needs_prior else (None,))
        for count in lanes
    ]


def speeds(
    victims: Sequence[Victim], devices: Sequence[str], cases: Sequence[SpeedCase], effort: Effort
) -> Iterator[Speed]:
    """Measure each case on each victim and device, in their order, with one thread for an operation.

    All measurements of one victim and device take turns, and each ratio is of one turn, because the speed
    of a shared machine drifts. On the CPU, time is processor time.
    """
    priors = {name: PRIORS.make(name, {}) for name in {case.prior for case in cases if case.prior}}
    for device in devices:
        for victim in victims:
            with operation_threads(1):
                yield from _Bench(victim, torch.device(device), priors).speeds(cases, effort)


@dataclass(frozen=True)
class _Stage:
    """What one turn measured of one stage."""

    seconds: float
    path: MatchingPath
    memory: float | None


class _Bench:
    """Measures on one victim and one device."""

    def __init__(self, victim: Victim, device: torch.device, priors: dict[str, Prior]) -> None:
        options = {} if victim.architecture is None else {"architecture": victim.architecture}
        settings = TaskSettings(threat_model=ThreatModel(labels="known"))
        task = Task(Photos(SIZE), victim.model, options, settings)
        truth = task.truth(0)
        self.victim, self.device, self.priors = victim, device, priors
        self.observation: Observation = task.observe(truth, NoDefense(), 0, 0)
        self.client = SimulatedClient(self.observation, device)
        self.labels = truth.labels.to(device)
        self.images = truth.images.to(device)

    def speeds(self, cases: Sequence[SpeedCase], effort: Effort) -> Iterator[Speed]:
        first: list[float] = []
        bare: list[float] = []
        found: dict[tuple[SpeedCase, str], list[_Stage]] = defaultdict(list)
        for turn in range(effort.turns + 1):
            gradient, double = self._gradient(effort.iterations), self._bare(effort.iterations)
            if turn == 0:  # Memory and caches are made.
                continue
            first.append(gradient)
            bare.append(double)
            for case in cases:
                for name, stage in self._stages(case, effort.iterations).items():
                    found[case, name].append(stage)
        for (case, name), stages in found.items():
            memory = [stage.memory for stage in stages if stage.memory is not None]
            yield Speed(
                self.victim.label,
                str(self.device),
                case.attack,
                case.prior,
                case.lanes,
                name,
                stages[0].path,
                1 / statistics.median(stage.seconds for stage in stages),
                _median_ratio((stage.seconds for stage in stages), first),
                _median_ratio(bare, first),
                max(memory, default=None),
            )

    def _gradient(self, count: int) -> float:
        """The seconds of a first-order gradient."""
        inputs = self.client.normalize(self.images)
        return self._seconds(lambda: loss_gradient(self.client.victim, inputs, self.labels), count)

    def _bare(self, count: int) -> float:
        """The seconds of an iteration with nothing around it."""
        loss = Cosine()
        loss.prepare(self.client.observed)
        images = torch.full_like(self.images, 0.5).requires_grad_()
        adam = Adam([images], lr=0.1)

        def iterate() -> None:
            adam.zero_grad()
            objective: Tensor = loss(self.client.update(images, self.labels))
            torch.autograd.backward(objective, inputs=[images])
            adam.step()

        return self._seconds(iterate, count)

    def _seconds(self, action: Callable[[], object], count: int) -> float:
        began = _clock(self.device)
        for _ in range(count):
            action()
        return (_clock(self.device) - began) / count

    def _stages(self, case: SpeedCase, iterations: int) -> dict[str, _Stage]:
        """What one turn measures of each stage of an attack."""
        options = ATTACKS.find(case.attack)
        counts = {f.name: iterations for f in fields(options) if f.name.endswith("iterations")}
        attack = ATTACKS.attack_class(case.attack)(options(**counts, restarts=case.lanes))  # type: ignore[arg-type]
        watch = _Watch(attack, self.device)
        before = _forget_peak(self.device)
        prior = None if case.prior is None else self.priors[case.prior]
        accelerator = "gpu" if self.device.type == "cuda" else self.device.type
        invert(attack, self.observation, prior, 0, callbacks=[watch], accelerator=accelerator)
        peak = _peak(self.device)
        memory = None if peak is None or before is None else max(0.0, peak - before) / MIB
        return {name: _Stage(took, attack.judge.path, memory) for name, took in watch.seconds().items()}


class _Watch(Callback):
    """Records the time and the gradient evaluations so far, around each iteration."""

    def __init__(self, attack: Attack, device: torch.device) -> None:
        self._attack, self._device = attack, device
        self._took: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def on_train_batch_start(self, trainer: pl.Trainer, *args: object) -> None:
        self._began = _clock(self._device), self._attack.progress.gradient_evaluations

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        began, before = self._began
        spent = self._attack.progress.gradient_evaluations - before
        self._took[self._attack.course.stage.name].append((_clock(self._device) - began, spent))

    def seconds(self) -> dict[str, float]:
        """The seconds of an evaluation, by stage."""
        found = {}
        for name, took in self._took.items():
            counted = took[1:] or took
            found[name] = sum(s for s, _ in counted) / max(1, sum(spent for _, spent in counted))
        return found


def _median_ratio(values: Iterable[float], others: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(values, others, strict=True))


def _clock(device: torch.device) -> float:
    """Seconds of processor time of this process, or of wall-clock time if another device computes."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _forget_peak(device: torch.device) -> float | None:
    """Start measuring the peak of memory now; the bytes in use now, if they are known."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return float(torch.cuda.memory_allocated(device))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _resident("VmRSS")
    return None


def _peak(device: torch.device) -> float | None:
    """The peak of memory in bytes since `_forget_peak`."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return _resident("VmHWM")


def _resident(field: str) -> float | None:
    """A field of what Linux reports about the memory of this process, in bytes."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return 1024 * float(value.split()[0])
    return None
