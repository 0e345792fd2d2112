"""Recipes: every file of configs/attacks resolves to an attack."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["dlg", "idlg", "gi"])
def test_these_attacks_do_by_default_what_their_recipe_says(name: str) -> None:
    options = dict(resolve(yaml.safe_load(RECIPES[name])).options)
    default = dict(resolve(name).options)
    assert options == default
