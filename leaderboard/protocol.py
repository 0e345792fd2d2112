"""Protocols: which observations, which budget, which metrics."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gifd_bench.benchmark.matrix.config_files import read_yaml
from gifd_bench.benchmark.matrix.resolve import Resolver, labeled
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.benchmark.scoring.registry import COLUMNS, IDENTIFICATION
from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.text import Line, Slug, Strict, first_error

# What entries can be ranked by.
METRICS = (*COLUMNS, *IDENTIFICATION)
# The metrics of which less is better.
LOWER_IS_BETTER = frozenset(["lpips_alex", "lpips_vgg", "mse", "feature_mse"])


class Budget(Strict):
    """What an attack may spend.

    Attributes:
        gradient_evaluations: the largest number for each observation, over all restarts.
    """

    gradient_evaluations: Annotated[int, Field(ge=1)]


class ProtocolFile(Strict):
    """A protocol as in its YAML file.

    Attributes:
        name, version: together the key of the protocol, such as `photos-v1`; whatever changes an
            observation, the budget or the metrics makes a new version.
        title, description: texts for the board.
        budget: what an attack may spend.
        metrics: the metrics by which entries are ranked, the first one first.
        tasks, defenses, targets, seeds: the axes of a matrix, as `gifd-bench run` reads them.
    """

    name: Slug
    version: Annotated[int, Field(ge=1)]
    title: Line
    description: Line
    budget: Budget
    metrics: Annotated[list[str], Field(min_length=1)]
    tasks: dict[str, Any]
    defenses: dict[str, Any]
    targets: list[int]
    seeds: list[int]


@dataclass(frozen=True)
class Protocol:
    """A track of the board.

    Attributes:
        file: the content of its file.
        rounds: the rounds that are attacked, by the names of the observations.
    """

    file: ProtocolFile
    rounds: dict[str, Round]

    @cached_property
    def key(self) -> str:
        """Name and version."""
        return f"{self.file.name}-v{self.file.version}"

    @property
    def images(self) -> int:
        """The number of private images over all observations."""
        return sum(one.task.settings.images for one in self.rounds.values())


def find_protocol(name: str) -> Protocol:
    """A protocol by its key, such as `photos-v1`, or by the path of a `.yaml` file.

    Raises:
        LeaderboardError: there is none, or it is wrong.
    """
    path = Path(name)
    if path.suffix != ".yaml" or not path.is_file():
        path = _bundled() / f"{name}.yaml"
        if not re.fullmatch(r"[a-z0-9-]+", name) or not path.is_file():
            known = ", ".join(protocol_keys())
            raise LeaderboardError(f"{name}: no such protocol; there are: {known}")
    return read_protocol(path)


def protocol_keys() -> list[str]:
    """Keys of the bundled protocols."""
    return sorted(path.stem for path in _bundled().glob("*.yaml"))


def read_protocol(path: Path) -> Protocol:
    """Read and resolve a protocol.

    Raises:
        LeaderboardError: something in it is wrong; the message names the file and the key.
    """
    try:
        file = ProtocolFile.model_validate(read_yaml(path))
        rounds = _rounds(file)
    except ValidationError as error:
        raise LeaderboardError(f"{path}: {first_error(error)}") from error
    except UserError as error:
        raise LeaderboardError(f"{path}: {error}") from error
    unknown = sorted(set(file.metrics) - set(METRICS))
    if unknown:
        raise LeaderboardError(f"{path}: metrics: no '{unknown[0]}'; there are: {', '.join(METRICS)}")
    protocol = Protocol(file, {f"{number:03d}": one for number, one in enumerate(rounds)})
    if path.parent == _bundled() and path.stem != protocol.key:
        raise LeaderboardError(f"{path}: its file must be called {protocol.key}.yaml")
    return protocol


def _rounds(file: ProtocolFile) -> list[Round]:
    """The product of the axes, as in a matrix, with seeds as the outermost axis of each task."""
    resolver = Resolver(())
    tasks, defenses = labeled(file.tasks, "tasks"), labeled(file.defenses, "defenses")
    for label, spec in tasks.items():
        resolver.declare_task(f"tasks.{label}", label, spec)
    for label, spec in defenses.items():
        resolver.declare_defense(f"defenses.{label}", label, spec)
    resolver.parse()
    axes = itertools.product(
        [resolver.task(f"tasks.{label}", label) for label in tasks],
        file.seeds,
        file.targets,
        [resolver.defense(f"defenses.{label}", label) for label in defenses],
    )
    return [Round(task, defense, target, seed) for task, seed, target, defense in axes]


def _bundled() -> Path:
    return Path(str(resources.files("gifd_bench.leaderboard"))) / "protocols"
