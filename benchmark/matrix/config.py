"""Reading and validating a matrix: a YAML file, and then overrides from the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config_files import find_config, read_yaml
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.recipe import RecipeUse, options_of_recipe
from gifd_bench.benchmark.matrix.resolve import Resolver, labeled
from gifd_bench.benchmark.matrix.sweep import Swept, without_sweeps
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.matrix.where import Override, Where
from gifd_bench.common.errors import UserError
from gifd_bench.common.registry import unknown

AXES = ("tasks", "defenses", "priors", "attacks")
# Axes whose entries are components, one each, with the kind of these.
COMPONENTS = {"priors": "prior", "attacks": "attack", "metrics": "metric"}
ADDED = re.compile(r"--(defenses|priors|attacks|metrics)\+=(.+)")
# Limits before anything is built: of targets and of seeds, and of cells.
MOST_NUMBERS = 100_000
MOST_CELLS = 1_000_000
KEYS = (
    "name",
    "description",
    *AXES,
    "metrics",
    "targets",
    "seeds",
    "excludes",
    "recipes",
    "overrides",
    "needs_gpu",
)


@dataclass(frozen=True)
class Matrix:
    """Resolved axes; their product, without the excluded cells, is the cells.

    Attributes:
        with_prior: labels of the attacks that need a prior, so that a matrix can be read back without
            importing anybody's attack.
        excludes: cells that are left out.
        overrides: cells in which attacks have other options.
        metrics: metrics that are computed in addition to the bundled ones.
        needs_gpu: whether the matrix would take too long on a CPU. No result depends on it, and it is not a
            part of `config`.
    """

    name: str
    tasks: tuple[TaskConfig, ...]
    defenses: tuple[DefenseConfig, ...]
    priors: tuple[Component, ...]
    attacks: tuple[Component, ...]
    targets: tuple[int, ...]
    seeds: tuple[int, ...]
    with_prior: frozenset[str]
    excludes: tuple[Where, ...] = ()
    overrides: tuple[Override, ...] = ()
    metrics: tuple[Component, ...] = ()
    needs_gpu: bool = field(default=False, compare=False)

    def cells(self) -> Iterator[Cell]:
        """Every cell, attacks innermost; an attack without a prior has one cell for all priors."""
        attacks: dict[tuple[str, ...], Component] = {}
        for cell in self._product():
            if any(where.holds(cell) for where in self.excludes):
                continue
            overrides = [n for n, override in enumerate(self.overrides) if override.when.holds(cell)]
            if not overrides:
                yield cell
                continue
            # Cells share their components, and with them what is computed of these only once.
            key = (cell.attack.label, *map(str, overrides))
            if key not in attacks:
                changes = [self.overrides[n].set for n in overrides]
                attacks[key] = _changed(cell.attack, changes)
            yield replace(cell, attack=attacks[key])

    def _product(self) -> Iterator[Cell]:
        for task in self.tasks:
            for seed in self.seeds:
                for target in self.targets:
                    for defense in self.defenses:
                        for attack in self.attacks:
                            for prior in self._priors_of(attack):
                                yield Cell(task, defense, target, seed, prior, attack)

    def config(self) -> dict[str, Any]:
        """The resolved configuration as plain JSON values."""
        return {
            "name": self.name,
            **{axis: [c.config() for c in getattr(self, axis)] for axis in AXES},
            "targets": list(self.targets),
            "seeds": list(self.seeds),
            "with_prior": sorted(self.with_prior),
            # Absent where there are none: runs of matrices that have none need not know of them.
            **({"excludes": [dict(where.given) for where in self.excludes]} if self.excludes else {}),
            **({"overrides": [override.config() for override in self.overrides]} if self.overrides else {}),
            **({"metrics": [metric.config() for metric in self.metrics]} if self.metrics else {}),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Matrix:
        """The inverse of `config`."""
        return cls(
            name=config["name"],
            tasks=tuple(TaskConfig.from_config(task) for task in config["tasks"]),
            defenses=tuple(DefenseConfig.from_config(defense) for defense in config["defenses"]),
            priors=tuple(Component.from_config("prior", prior) for prior in config["priors"]),
            attacks=tuple(Component.from_config("attack", attack) for attack in config["attacks"]),
            targets=tuple(config["targets"]),
            seeds=tuple(config["seeds"]),
            with_prior=frozenset(config["with_prior"]),
            excludes=tuple(Where(**where) for where in config.get("excludes", ())),
            overrides=tuple(Override.from_config(override) for override in config.get("overrides", ())),
            metrics=tuple(Component.from_config("metric", metric) for metric in config.get("metrics", ())),
        )

    def _priors_of(self, attack: Component) -> Sequence[Component | None]:
        return self.priors if attack.label in self.with_prior else (None,)


def load_matrix(name: str, overrides: Sequence[str] = ()) -> Matrix:
    """Read a matrix, apply `--key value` overrides to it, and resolve it.

    Args:
        name: the path of a YAML file, or the name of a bundled matrix, as in `find_config`.
        overrides: command-line arguments such as `--attacks.gifd.iterations=300`, or
            `--attacks+=my_package:MyAttack` for one more attack (and likewise for defenses, priors and
            metrics). A list for an option that takes no list, as in `--defenses.noise.std=[0.01, 0.1]`,
            makes one entry for each value; see `without_sweeps`.

    Raises:
        BenchmarkError: something is wrong; the message names the file and the key.
    """
    path = find_config(name)
    content = read_yaml(path)
    added = [(m.group(1), m.group(2)) for m in map(ADDED.fullmatch, overrides) if m]
    rest = [override for override in overrides if not ADDED.fullmatch(override)]
    try:
        return _resolve(path.stem, _with_more(content, added), rest)
    except UserError as error:
        # A bundled configuration is called by its name.
        raise BenchmarkError(f"{path if path == Path(name) else name}: {error}") from error


def _with_more(content: dict[str, Any], added: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The content with more entries on an axis, each under the name of its class in lower case."""
    for axis, path in added:
        entries = dict(labeled(content.get(axis), axis))
        label = re.split(r"[.:]", path)[-1].lower()
        if label in entries:
            raise BenchmarkError(f"{axis}: there is an entry '{label}' already; {path} is not added")
        content = {**content, axis: {**entries, label: {"use": path}}}
    return content


def _resolve(stem: str, content: Mapping[str, Any], overrides: Sequence[str]) -> Matrix:
    for key in content:
        if key not in KEYS:
            raise BenchmarkError(unknown("key", str(key), list(KEYS)))
    axes = {axis: labeled(content.get(axis), axis) for axis in (*AXES, "metrics")}
    swept = without_sweeps(axes, {**COMPONENTS, "tasks": "task", "defenses": "defense"}, overrides)
    entries = swept.entries
    resolver = Resolver(swept.overrides)
    resolver.parser.add_argument("--name", type=str, default=stem)
    resolver.parser.add_argument("--description", type=str, default="")
    for axis in ("targets", "seeds"):
        resolver.parser.add_argument(f"--{axis}", type=int | list[int], default=[0])
    resolver.parser.add_argument("--excludes", type=list[Where], default=[])
    resolver.parser.add_argument("--recipes", type=list[RecipeUse], default=[])
    resolver.parser.add_argument("--overrides", type=list[Override], default=[])
    resolver.parser.add_argument("--needs_gpu", type=bool, default=False)
    for key, value in content.items():
        if key not in axes:
            resolver.set(key, value)
    for entry in entries["tasks"]:
        resolver.declare_task(f"tasks.{entry.key}", entry.default, entry.spec)
    for entry in entries["defenses"]:
        resolver.declare_defense(f"defenses.{entry.key}", entry.default, entry.spec)
    for axis, kind in COMPONENTS.items():
        for entry in entries[axis]:
            resolver.declare(kind, f"{axis}.{entry.key}", entry.default, entry.spec)
    resolver.parse()
    components = {
        axis: tuple(resolver.component(kind, f"{axis}.{one.key}", one.label) for one in entries[axis])
        for axis, kind in COMPONENTS.items()
    }
    matrix = Matrix(
        name=resolver.value("name"),
        tasks=tuple(resolver.task(f"tasks.{one.key}", one.label) for one in entries["tasks"]),
        defenses=tuple(resolver.defense(f"defenses.{one.key}", one.label) for one in entries["defenses"]),
        priors=components["priors"],
        attacks=components["attacks"],
        metrics=components["metrics"],
        targets=_numbers("targets", resolver.value("targets")),
        seeds=_numbers("seeds", resolver.value("seeds")),
        with_prior=frozenset(
            attack.label for attack in components["attacks"] if ATTACKS.find(attack.name).needs_prior
        ),
        excludes=tuple(_listed(where, swept) for where in resolver.value("excludes")),
        needs_gpu=resolver.value("needs_gpu"),
    )
    _check(matrix)
    specs = [*_of_recipes(matrix, resolver.value("recipes"), swept), *resolver.value("overrides")]
    overridden = replace(matrix, overrides=_overrides(matrix, specs, swept))
    if next(overridden.cells(), None) is None:
        raise BenchmarkError("excludes: no cell is left")
    return overridden


def _numbers(axis: str, value: int | list[int]) -> tuple[int, ...]:
    """The numbers of targets or seeds; a single number n stands for 0 to n - 1."""
    count = value if isinstance(value, int) else len(value)
    if count > MOST_NUMBERS:
        raise BenchmarkError(f"{axis}: {MOST_NUMBERS:,} at most, not {count:,}")
    return tuple(range(value) if isinstance(value, int) else value)


def _listed(where: Mapping[str, Any], swept: Swept) -> Where:
    """The selection with lists only, as in `Where.given`, so that it equals what is read back.

    The label of a sweep stands for all of its entries.
    """
    given = {
        axis: [one for label in wanted for one in swept.labels.get(axis, {}).get(str(label), [label])]
        for axis, wanted in Where(**where).given.items()
    }
    return Where(**given)  # type: ignore[arg-type]


def _changed(attack: Component, changes: Iterable[Mapping[str, Any]]) -> Component:
    options = dict(attack.options)
    for change in changes:
        options |= change
    return replace(attack, options=options)


def _of_recipes(
    matrix: Matrix, uses: Sequence[Mapping[str, Any]], swept: Swept
) -> Iterator[Mapping[str, Any]]:
    """The options of recipes as overrides, which come before those that the file itself sets."""
    for number, spec in enumerate(uses):
        key, when = f"recipes[{number}]", _listed(spec["when"], swept)
        when.check(f"{key}.when", _labels(matrix))
        if when.attacks is None:
            raise BenchmarkError(f"{key}.when.attacks: say which attacks it is for")
        use = RecipeUse(when, spec["recipe"], spec["evaluations"])
        for attack in matrix.attacks:
            if attack.label in when.given["attacks"]:
                given = {**when.given, "attacks": [attack.label]}
                yield {"when": given, "set": options_of_recipe(use, attack.name)}


def _overrides(matrix: Matrix, specs: Sequence[Mapping[str, Any]], swept: Swept) -> tuple[Override, ...]:
    """One override for each attack that an override of the file names, with its options resolved."""
    found = []
    attacks = {attack.label: attack for attack in matrix.attacks}
    for number, spec in enumerate(specs):
        key, when, options = f"overrides[{number}]", _listed(spec["when"], swept), spec["set"]
        when.check(f"{key}.when", _labels(matrix))
        if when.attacks is None:
            raise BenchmarkError(f"{key}.when.attacks: say which attacks' options are set")
        for label in when.given["attacks"]:
            try:
                resolved = attacks[str(label)].with_options(options).options
                found.append(
                    Override(
                        replace(when, attacks=[str(label)]), {name: resolved[name] for name in options}
                    )
                )
            except BenchmarkError as error:
                raise BenchmarkError(f"{key}.set, for attack {label}: {error}") from error
            except KeyError as error:  # A path into an option, which the parser would take.
                raise BenchmarkError(f"{key}.set: {error} is not an option's name; set it whole") from error
    return tuple(found)


def _labels(matrix: Matrix) -> dict[str, Sequence[str | int]]:
    labels = {axis: [part.label for part in getattr(matrix, axis)] for axis in AXES}
    return {**labels, "targets": matrix.targets, "seeds": matrix.seeds}


def _check(matrix: Matrix) -> None:
    if not re.fullmatch(r"[\w-]+", matrix.name):
        raise BenchmarkError(f"name: '{matrix.name}' is not made of letters, digits, - and _")
    for axis in ("tasks", "defenses", "attacks", "targets", "seeds"):
        if not getattr(matrix, axis):
            raise BenchmarkError(f"{axis}: at least one is needed")
    for axis in ("targets", "seeds"):
        numbers = getattr(matrix, axis)
        if min(numbers) < 0 or len(set(numbers)) < len(numbers):
            raise BenchmarkError(f"{axis}: distinct numbers from 0 are expected, not {list(numbers)}")
    each = sum(len(matrix._priors_of(attack)) for attack in matrix.attacks)
    cells = prod(map(len, (matrix.tasks, matrix.defenses, matrix.targets, matrix.seeds)), start=each)
    if cells > MOST_CELLS:
        raise BenchmarkError(f"{cells:,} cells; a matrix has {MOST_CELLS:,} at most")
    for attack in matrix.attacks:
        if not matrix._priors_of(attack):
            raise BenchmarkError(f"attacks.{attack.label} needs a prior; none is given in 'priors'")
    for number, where in enumerate(matrix.excludes):
        where.check(f"excludes[{number}]", _labels(matrix))
