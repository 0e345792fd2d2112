"""The answers of a run of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.rows import row_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.registry import COLUMNS
from gifd_bench.common.files import read_tensors
from gifd_bench.leaderboard.challenge import ChallengeFolder
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.observation_set import ObservationSet
from gifd_bench.leaderboard.submission.overrides import overrides_of
from gifd_bench.leaderboard.submission.schema import SubmittedOverride


@dataclass(frozen=True)
class Attempt:
    """The answer to one observation.

    Attributes:
        images: (B, 3, H, W) float32 in [0, 1].
        labels: (B,) int64.
        gradient_evaluations: the evaluations spent, over all restarts.
        seconds: wall-clock time.
        seed: the seed of the attack's randomness.
        metrics: the scores of the run; empty if it had no truth.
    """

    images: Tensor
    labels: Tensor
    gradient_evaluations: int
    seconds: float
    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Attempts:
    """The answers of one attack, by observation; observations without an answer are left out.

    Attributes:
        overrides: options of the attack that differ from task to task or from defense to defense.
    """

    attack: Component
    prior: Component | None
    by_name: Mapping[str, Attempt]
    overrides: Sequence[SubmittedOverride] = ()


def attempts_of(run: Path, observations: ObservationSet, label: str | None) -> Attempts:
    """The answers to a set in a run of `gifd-bench run` or of `gifd-bench leaderboard attack`.

    Args:
        run: its folder.
        observations: the set.
        label: which attack of a matrix, with the label of its prior after a slash if there are several.

    Raises:
        LeaderboardError: it is not a run, has no answer to this set, or has several attacks and none was
            named.
    """
    if ChallengeFolder(run).record.is_file():
        return _of_challenge(ChallengeFolder(run), observations)
    return _of_matrix(RunFolder(run), observations, label)


def _of_challenge(folder: ChallengeFolder, observations: ObservationSet) -> Attempts:
    folder.check_attacked(observations)
    asked, auditor, found = folder.read(), folder.auditor(), {}
    for number, name in enumerate(asked.observations):
        audit = folder.answer(name)
        if not audit.result.is_file():
            continue
        answer, tensors = audit.read(), read_tensors(audit.reconstruction)
        found[name] = Attempt(
            images=tensors["images"],
            labels=tensors["labels"],
            gradient_evaluations=answer.gradient_evaluations,
            seconds=answer.seconds,
            seed=asked.attack_seed(number),
        )
    return _some(Attempts(auditor.attack, auditor.prior, found), folder.path, observations)


def _of_matrix(run: RunFolder, observations: ObservationSet, label: str | None) -> Attempts:
    names = {item.round: name for name, item in observations.index.observations.items() if item.round}
    cells: dict[str, dict[str, tuple[Cell, CellFolder]]] = {}
    for cell, folder in run.cells():
        name = names.get(cell.observation_id)
        if name is not None and folder.status() == "done":
            attack = f"{cell.attack.label}/{cell.prior.label}" if cell.prior else cell.attack.label
            cells.setdefault(attack, {})[name] = cell, folder
    chosen = [attack for attack in cells if label in (None, attack, attack.split("/")[0])]
    if len(chosen) > 1:
        raise LeaderboardError(f"{run.path}: name one attack with --attack; there are: {', '.join(chosen)}")
    if not chosen:
        there = ", ".join(cells) or "none"
        raise LeaderboardError(
            f"{run.path}: no done cells of attack {label or '(any)'} on {observations.index.protocol}; "
            f"attacks that have some: {there}"
        )
    of_attack = cells[chosen[0]]
    first, _ = next(iter(of_attack.values()))
    return Attempts(
        first.attack,
        first.prior,
        {name: _of_cell(*one) for name, one in of_attack.items()},
        _overrides([cell for cell, _ in of_attack.values()], run.path),
    )


def _overrides(cells: Sequence[Cell], run: Path) -> list[SubmittedOverride]:
    """How the options of the attack differ from those of the first cell, by task and defense.

    Raises:
        LeaderboardError: they differ within one task and defense.
    """
    first = cells[0].attack.options
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for cell in cells:
        labels = cell.task.label, cell.defense.label
        if found.setdefault(labels, cell.attack.options) != cell.attack.options:
            raise LeaderboardError(
                f"{run}: the options of {cell.attack.label} differ within {' and '.join(labels)}; "
                "an entry has one set of them for each task and defense"
            )
    return overrides_of(first, found)


def _of_cell(cell: Cell, folder: CellFolder) -> Attempt:
    row, tensors = row_of(cell, folder), read_tensors(folder.reconstruction)
    assert row.gradient_evaluations is not None
    assert row.seconds is not None
    scores = {metric: getattr(row, metric) for metric in COLUMNS}
    return Attempt(
        images=tensors["images"],
        labels=tensors["labels"],
        gradient_evaluations=row.gradient_evaluations,
        seconds=row.seconds,
        seed=cell.attack_seed,
        metrics={metric: value for metric, value in scores.items() if value is not None},
    )


def _some(attempts: Attempts, path: Path, observations: ObservationSet) -> Attempts:
    if not attempts.by_name:
        raise LeaderboardError(f"{path}: nothing of {observations.index.protocol} has been answered yet")
    return attempts
