"""Attacks by name, by import path and by file; the options class is what planning sees of each."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.common import registry
from gifd_bench.common.errors import UserError

OWN = '''
from dataclasses import dataclass
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions

@dataclass(frozen=True, kw_only=True)
class MineOptions(IGOptions):
    """Mine, by its options."""
    weight: float = 2.0

class Mine(IG):
    """Mine, by itself.

    At length.
    """
    Options = MineOptions

class Bare(IG):
    Options = int

def function():
    pass
'''


@pytest.mark.parametrize("name", sorted(ATTACKS.bundled))
def test_a_name_leads_to_options_and_to_the_attack_that_has_them(name: str) -> None:
    kind = ATTACKS.attack_class(name)
    assert kind.Options is ATTACKS.signature(name)
    attack = ATTACKS.make(name, {"restarts": 2})
    assert type(attack) is kind
    assert attack.options.restarts == 2
    for path in (f"{kind.__module__}:{kind.__name__}", f"{kind.__module__}.{kind.__name__}"):
        assert ATTACKS.canonical(path) == name
        assert ATTACKS.signature(path) is kind.Options
        assert ATTACKS.attack_class(path) is kind
        assert ATTACKS.code(path) is None


def test_an_attack_from_a_file_has_the_options_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine_of_the_registry.py").write_text(OWN, encoding="utf-8")
    for name in ("mine_of_the_registry.py:Mine", "mine_of_the_registry:Mine", "mine_of_the_registry.Mine"):
        attack = ATTACKS.make(name, {"weight": 3.0, "iterations": 4})
        assert isinstance(attack, IG)
        assert isinstance(ATTACKS.options(name, {}), IGOptions)
        assert vars(attack.options)["weight"] == 3.0
        assert ATTACKS.canonical(name) == name
        assert ATTACKS.describe(name) == "Mine, by itself."
        assert ATTACKS.code(name) is not None
    for name, message in (
        ("mine_of_the_registry.py:MineOptions", "no attack, which is a subclass of gifd_bench.Attack"),
        ("mine_of_the_registry.py:function", "no attack"),
        ("mine_of_the_registry.py:Bare", "Options is no subclass of gifd_bench.AttackOptions"),
        ("mine_of_the_registry.py:Nothing", "there is no 'Nothing'"),
    ):
        with pytest.raises(UserError, match=message) as error:
            ATTACKS.signature(name)
        assert "\n" not in str(error.value)


def test_an_installed_package_adds_an_attack_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "gifd_bench.benchmark.attacks.ig:IG", "gifd_bench.attacks")
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == point.group else [])
    registry._installed.cache_clear()
    try:
        assert ATTACKS.names() == sorted([*ATTACKS.bundled, "theirs"])
        assert isinstance(ATTACKS.make("theirs", {"iterations": 3}), IG)
    finally:
        registry._installed.cache_clear()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.py:Attack", "there is no file none.py"),
        ("no_such_package.attack.It", "there is no module 'no_such_package'"),
        ("wrong.py:It", "cannot be imported (ZeroDivisionError"),
        ("gifd_bench.benchmark.attacks.ig.Nonesuch", "there is no 'Nonesuch'"),
    ],
)
def test_what_cannot_be_found_is_one_line(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text("1 / 0")
    with pytest.raises(UserError, match=re.escape(message)) as error:
        ATTACKS.attack_class(path)
    assert "\n" not in str(error.value)


def test_a_misspelled_name_names_the_nearest() -> None:
    with pytest.raises(UserError, match="no attack 'gifdd'; did you mean gifd"):
        ATTACKS.make("gifdd", {})
    assert ATTACKS.attack_class("gifd") is GIFD
