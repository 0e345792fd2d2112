"""Recipes: tuned options of attacks, by budget, with how they were found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config_files import read_yaml
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.matrix.where import Where
from gifd_bench.common.registry import unknown

KEYS = ("provenance", "budgets")


@dataclass(frozen=True)
class RecipeUse:
    """The use of a recipe in a matrix.

    Attributes:
        when: the cells for which it holds, which name attacks.
        recipe: a file, or the name of a bundled recipe, such as `tuned-resnet18-none`.
        evaluations: which of the recipe's budgets to use; `None` if it has only one.
    """

    when: Where
    recipe: str
    evaluations: int | None = None


def recipe_name(task: TaskConfig, defense: str) -> str:
    """The name of the recipe for a victim under a defense, such as `tuned-resnet18-none`.

    Args:
        task: the task, whose model is the victim. A family of many architectures (torchvision, timm) is
            called by the architecture, and weights that are not random by what they are, as in
            `tuned-convnet-trained-none`, because options that suit one victim may not suit another.
        defense: the label of the defense.
    """
    model, weights = task.model, task.settings.weights
    victim = str(model.options.get("architecture", model.label))
    return "-".join(["tuned", victim, *([] if weights == "random" else [weights]), defense])


def options_of_recipe(use: RecipeUse, attack: str) -> dict[str, Any]:
    """The options that a recipe gives to an attack.

    Args:
        use: which recipe, with which budget.
        attack: registered name of the attack.

    Raises:
        BenchmarkError: there is no such recipe, or no such budget or attack in it.
    """
    known = _budgets(use.recipe)
    if use.evaluations is None and len(known) != 1:
        raise BenchmarkError(f"{use.recipe}: say which budget, evaluations={' or '.join(known)}")
    budget = str(use.evaluations) if use.evaluations is not None else next(iter(known))
    if budget not in known:
        raise BenchmarkError(f"{use.recipe}: {unknown('budget', budget, list(known))}")
    attacks = _mapping(known[budget], f"{use.recipe}: budgets.{budget}")
    if attack not in attacks:
        raise BenchmarkError(f"{use.recipe}: {unknown('attack', attack, [str(one) for one in attacks])}")
    return dict(_mapping(attacks[attack], f"{use.recipe}: budgets.{budget}.{attack}"))


def options_within(recipe: str, attack: str, evaluations: int) -> dict[str, Any] | None:
    """The options that a recipe gives to an attack under its largest budget up to a limit.

    Budgets below half of the limit are left out: options tuned for them would leave most of it unspent.

    Args:
        recipe: a file, or the name of a bundled recipe.
        attack: registered name of the attack.
        evaluations: the largest number of gradient evaluations.

    Returns:
        The options; `None` if the recipe has none for the attack under such a budget.

    Raises:
        BenchmarkError: there is no such recipe, or a budget in it is not a number.
    """
    budgets = _budgets(recipe)
    odd = [budget for budget in budgets if not budget.isdecimal()]
    if odd:
        raise BenchmarkError(f"{recipe}: budgets.{odd[0]}: a number of gradient evaluations is expected")
    for budget in sorted(map(int, budgets), reverse=True):
        attacks = _mapping(budgets[str(budget)], f"{recipe}: budgets.{budget}")
        if evaluations / 2 <= budget <= evaluations and attack in attacks:
            return options_of_recipe(RecipeUse(Where(), recipe, budget), attack)
    return None


def _budgets(recipe: str) -> dict[str, Any]:
    content = read_yaml(find_recipe(recipe))
    for key in content:
        if key not in KEYS:
            raise BenchmarkError(f"{recipe}: {unknown('key', str(key), list(KEYS))}")
    budgets = _mapping(content.get("budgets"), f"{recipe}: budgets")
    return {str(budget): attacks for budget, attacks in budgets.items()}


def find_recipe(name: str) -> Path:
    """The file of a recipe, by path or by the name of a bundled one.

    Raises:
        BenchmarkError: there is neither.
    """
    if (path := Path(name)).is_file():
        return path
    folder = Path(str(resources.files("gifd_bench.configs"))) / "recipes"
    bundled = folder / f"{name}.yaml"
    if re.fullmatch(r"[\w-]+", name) and bundled.is_file():
        return bundled
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    raise BenchmarkError(f"{name}: no such file, and {unknown('bundled recipe', name, known)}")


def _mapping(value: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise BenchmarkError(f"{where}: a mapping is expected, not {type(value).__name__}")
    return value
