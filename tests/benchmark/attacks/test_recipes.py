"""Recipes: every file of configs/attacks resolves to an attack; no option is without an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from importlib import resources
from typing import Any

import pytest
import yaml

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.resolve import Resolver

RECIPES = {
    path.name.removesuffix(".yaml"): path.read_text(encoding="utf-8")
    for path in resources.files("gifd_bench.configs").joinpath("attacks").iterdir()
    if path.name.endswith(".yaml")
}


def resolve(spec: Any) -> Component:
    """As an entry of a matrix."""
    resolver = Resolver([])
    resolver.declare("attack", "attacks.it", "none", spec)
    resolver.parse()
    return resolver.component("attack", "attacks.it", "it")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_is_one_attack_with_options_that_it_takes(name: str) -> None:
    component = resolve(yaml.safe_load(RECIPES[name]))
    assert component.name in ATTACKS
    assert isinstance(component.build(), Attack)


def entries(config: Any) -> Iterator[dict[str, Any]]:
    """The attacks' entries of a matrix or a recipe, as they are written."""
    if "use" in config:
        yield config
    for name, entry in (config.get("attacks") or {}).items():
        entry = entry or {}
        recipe = RECIPES.get(str(entry.get("recipe", "")).removeprefix("attacks/"), "{}")
        yield {"use": name, **yaml.safe_load(recipe), **entry}


def test_every_option_of_an_attack_is_set_by_some_bundled_config() -> None:
    folder = resources.files("gifd_bench.configs")
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".yaml")]
    used = [entry for text in [*texts, *RECIPES.values()] for entry in entries(yaml.safe_load(text))]
    unused = set()
    for name in ATTACKS:
        kind = ATTACKS.find(name)
        for field in fields(kind):
            # An option that several attacks share need be set for one of them.
            declaring = [b for b in kind.__mro__ if field.name in vars(b).get("__annotations__", {})]
            owner = declaring[-1]
            if not any(issubclass(ATTACKS.find(e["use"]), owner) and field.name in e for e in used):
                unused.add((name, field.name))
    assert not unused


@pytest.mark.parametrize("name", ["dlg", "idlg", "gi"])
def test_these_attacks_do_by_default_what_their_recipe_says(name: str) -> None:
    options = dict(resolve(yaml.safe_load(RECIPES[name])).options)
    default = dict(resolve(name).options)
    assert options == default
