"""Tuning: what attacks draw, studies that go on, recipes that matrices take."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.attacks.search_space import split
from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.commands.tune import run as run_tune
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.recipe import recipe_name
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.tuning.study import tune
from tests.benchmark.helpers import write_config
from tests.docs.pages import ROOT

T = TypeVar("T", str, int, float)
STAGES = ("latent", "4x4", "8x8", "16x16", "32x32")
TUNED = sorted(ATTACKS.bundled)
CONFIG = {
    "tasks": {
        "photos": {"dataset": {"use": "photos", "size": 16}, "model": {"use": "convnet", "width": 2}}
    },
    "defenses": {"none": None},
    "priors": None,
    "attacks": {"ig": None},
    "targets": 2,
}


class HypothesisDraw:
    """Draws as the attack says, and remembers under which names."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.names: list[str] = []

    def log(self, name: str, low: float, high: float) -> float:
        assert 0 < low < high
        return self.uniform(name, low, high)

    def uniform(self, name: str, low: float, high: float) -> float:
        self.names.append(name)
        return self.data.draw(st.floats(low, high))

    def whole(self, name: str, low: int, high: int) -> int:
        self.names.append(name)
        return self.data.draw(st.integers(low, high))

    def choice(self, name: str, options: Sequence[T]) -> T:
        self.names.append(name)
        return self.data.draw(st.sampled_from(options))


@pytest.mark.parametrize("name", TUNED)
@given(data=st.data(), budget=st.integers(100, 3000))
def test_every_attack_spends_its_budget_and_no_more(name: str, data: st.DataObject, budget: int) -> None:
    draw = HypothesisDraw(data)
    options = ATTACKS.options(name, {}).tuned(draw, budget, STAGES)
    spent = options.total_evaluations(STAGES)
    # A step of a population or of L-BFGS takes up to 50 evaluations; starts divide what the latent gets.
    assert budget * 0.85 - 64 <= spent <= budget, options
    assert draw.names
    assert len(set(draw.names)) == len(draw.names)


@pytest.mark.parametrize("name", TUNED)
def test_a_budget_that_is_too_small_is_one_line(name: str) -> None:
    class Lowest(HypothesisDraw):
        def __init__(self) -> None:
            pass

        def uniform(self, name: str, low: float, high: float) -> float:
            return low

        def whole(self, name: str, low: int, high: int) -> int:
            return high

        def choice(self, name: str, options: Sequence[T]) -> T:
            return options[0]

    with pytest.raises(BenchmarkError, match="too few"):
        ATTACKS.options(name, {}).tuned(Lowest(), 1, STAGES)


@given(total=st.integers(1, 500), weights=st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_a_split_spends_everything(total: int, weights: list[float]) -> None:
    if total < len(weights):
        with pytest.raises(BenchmarkError):
            split(total, weights)
        return
    parts = split(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 1
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - 1 - (total - len(weights)) * weight / sum(weights)) <= 1.001


def parabola(trial: Any) -> float:
    x = trial.suggest_float("x", -1.0, 1.0)
    if x > 0.9:
        raise BenchmarkError("too far")
    return -((x - 0.3) ** 2)


def test_a_study_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = tune(tmp_path / "whole.log", "it", parabola, trials=14, seed=3)
    calls = 0

    def interrupted(trial: Any) -> float:
        nonlocal calls
        calls += 1
        if calls in (4, 11):
            raise KeyboardInterrupt
        return parabola(trial)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "parts.log", "it", interrupted, trials=14, seed=3)
    parts = tune(tmp_path / "parts.log", "it", interrupted, trials=14, seed=3)
    assert calls == 16
    assert parts.best.params == whole.best.params
    assert (parts.trials, parts.failed) == (whole.trials, whole.failed) == (14, whole.failed)
    assert abs(whole.best.params["x"] - 0.3) < 0.2
    # From the same storage, nothing is tried again.
    assert tune(tmp_path / "parts.log", "it", interrupted, trials=14, seed=3) == parts
    assert calls == 16


def test_a_study_without_a_score_says_so(tmp_path: Path) -> None:
    def fails(trial: Any) -> float:
        raise BenchmarkError("no")

    with pytest.raises(BenchmarkError, match="not one of 2 trials had a score"):
        tune(tmp_path / "log", "it", fails, trials=2, seed=0)


def test_recipes_of_different_victims_have_different_names(tmp_path: Path) -> None:
    def task(model: Any, **settings: Any) -> TaskConfig:
        config = write_config(tmp_path, **{**CONFIG, "tasks": {"cifar10": {"model": model, **settings}}})
        return load_matrix(str(config)).tasks[0]

    def name(model: Any, **settings: Any) -> str:
        return recipe_name(task(model, **settings), "none")

    family = [{"use": "torchvision", "architecture": each} for each in ("resnet18", "vgg11")]
    assert [name(model) for model in family] == ["tuned-resnet18-none", "tuned-vgg11-none"]
    assert name("convnet") == "tuned-convnet-none"
    assert name("convnet", weights="trained") == "tuned-convnet-trained-none"
    assert name(family[0], weights="pretrained") == "tuned-resnet18-pretrained-none"
    small = replace(task("convnet"), model=Component.of("model", "convnet", "small", {}))
    assert recipe_name(small, "noise") == "tuned-small-noise"


@pytest.mark.slow
def test_attacks_are_tuned_and_a_matrix_takes_the_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(write_config(tmp_path, **CONFIG))
    output = tmp_path / "out"
    command = ["tune", config, "--trials=3", "--evaluations", "12", "30", "--output", str(output)]
    assert cli(command) == 0
    recipe = output / "tuned-convnet-none.yaml"
    first = recipe.read_text()
    content = yaml.safe_load(first)
    assert content["provenance"]["attacks"]["ig"]["mean psnr on the tuning images"] > 0
    assert content["budgets"][12]["ig"]["iterations"] == 11
    assert content["budgets"][30]["ig"]["iterations"] == 29
    assert "on 2 batches, the best of 3 trials (0 failed)" in capsys.readouterr().out.replace("\n", " ")
    assert cli(command) == 0
    assert recipe.read_text() == first
    assert not list(output.glob("none/ig/runs/*"))

    use = {"when": {"attacks": ["tuned"]}, "recipe": str(recipe), "evaluations": 30}
    attacks = {"ig": {"iterations": 29}, "tuned": {"use": "ig"}}
    matrix = load_matrix(str(write_config(tmp_path, **{**CONFIG, "attacks": attacks, "recipes": [use]})))
    options = {cell.attack.label: cell.attack.options for cell in matrix.cells()}
    assert options["tuned"] == content["budgets"][30]["ig"]
    assert options["ig"]["learning_rate"] == 0.1
    # The recipe is needed no more.
    recipe.unlink()
    assert [cell.id for cell in Matrix.from_config(matrix.config()).cells()] == [
        c.id for c in matrix.cells()
    ]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ({"recipe": "nonesuch"}, "no such file, and no bundled recipe 'nonesuch'"),
        ({"evaluations": 7}, "no budget '7'"),
        ({"when": {"attacks": ["ig"], "defenses": ["none"]}, "evaluations": None}, "say which budget"),
        ({"when": {"attacks": ["dlg"]}}, "no attack 'dlg'"),
        ({"when": {"defenses": ["none"]}}, "say which attacks"),
        ({"when": {"attacks": ["other"]}}, "no label 'other'"),
    ],
)
def test_a_wrong_use_of_a_recipe_is_one_line(tmp_path: Path, use: dict[str, Any], message: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({"budgets": {5: {"ig": {}}, 6: {"ig": {}}}}))
    whole = {"when": {"attacks": ["ig"]}, "recipe": str(recipe), "evaluations": 5, **use}
    whole = {name: value for name, value in whole.items() if value is not None}
    attacks = {"ig": None, "dlg": None}
    with pytest.raises(BenchmarkError, match=message) as error:
        load_matrix(str(write_config(tmp_path, **{**CONFIG, "attacks": attacks, "recipes": [whole]})))
    assert "\n" not in str(error.value)


def test_an_attack_that_declares_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from gifd_bench import Attack, AttackOptions\n"
        "class MineOptions(AttackOptions):\n"
        "    def stages(self, prior_stages): return ()\n"
        "class Mine(Attack):\n"
        "    Options = MineOptions\n"
    )
    attacks = {"mine": {"use": f"{tmp_path}/mine.py:Mine"}}
    config = str(write_config(tmp_path, **{**CONFIG, "attacks": attacks}))
    with pytest.raises(BenchmarkError, match="MineOptions declares no search space"):
        run_tune([config, "--trials=1", "--evaluations", "9", "--output", str(tmp_path / "o")])


def test_what_the_matrix_excludes_is_not_tuned(tmp_path: Path) -> None:
    defenses = {"none": None, "noise": {"use": "gaussian_noise", "std": 0.1}}
    excludes = [{"defenses": ["noise"]}, {"attacks": ["dlg"]}]
    attacks = {"ig": None, "dlg": None}
    changed = {"defenses": defenses, "attacks": attacks, "excludes": excludes, "targets": 1}
    config = str(write_config(tmp_path, **{**CONFIG, **changed}))
    assert run_tune([config, "--trials=1", "--evaluations", "9", "--output", str(tmp_path / "o")]) == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["none", "tuned-convnet-none.yaml"]
    assert [path.name for path in (tmp_path / "o" / "none").iterdir()] == ["ig"]


def test_the_process_that_ends_last_writes_the_recipe(tmp_path: Path) -> None:
    output, attacks = tmp_path / "o", {"held": {"use": "gi"}, "ig": None}
    config = str(write_config(tmp_path, **{**CONFIG, "attacks": attacks, "targets": 1}))
    (output / "none" / "held").mkdir(parents=True)

    def another(seconds: float = 60) -> None:
        with FileLock(output / "none" / "held" / "lock"):
            held.set()
            # This attack comes second: the first one has been passed by.
            while not (output / "none" / "ig" / "study.log").exists() and (seconds := seconds - 0.05) > 0:
                time.sleep(0.05)

    held = threading.Event()
    thread = threading.Thread(target=another)
    thread.start()
    held.wait()
    assert run_tune([config, "--trials=1", "--evaluations", "9", "--output", str(output)]) == 0
    thread.join()
    content = yaml.safe_load((output / "tuned-convnet-none.yaml").read_text())
    assert sorted(content["budgets"][9]) == ["gi", "ig"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "victim", "defense"),
    [
        ("tuning", "convnet", "none"),
        ("tuning", "convnet", "noise_small"),
        ("tuning", "convnet", "noise"),
        ("tuning_resnet18", "resnet18", "none"),
        ("tuning_resnet18", "resnet18", "noise"),
        ("tuning_trained", "convnet-trained", "none"),
    ],
)
def test_a_bundled_recipe_comes_from_the_trials_that_are_kept(
    name: str, victim: str, defense: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "docs" / "results" / name, tmp_path / "trials")
    recipe = f"tuned-{victim}-{defense}.yaml"
    matrix = load_matrix(name)
    others = sorted({each.label for each in matrix.defenses} - {defense})
    excludes: list[dict[str, list[str]]] = [{"defenses": others}] if others else []
    if "gifd_plus" in {each.label for each in matrix.attacks}:
        # It is `gifd` without noise, and takes its recipe there.
        excludes.append({"attacks": ["gifd_plus"], "defenses": ["none"]})
    only = f"--excludes={json.dumps(excludes)}"
    command = ["tune", name, "--trials=12", "--evaluations", "500", "501", "751", "2000", "--pack=4", only]
    assert cli([*command, "--output", str(tmp_path / "trials")]) == 0
    made, kept = (
        yaml.safe_load(path.read_text())
        for path in (tmp_path / "trials" / recipe, ROOT / "configs" / "recipes" / recipe)
    )
    # Versions differ from machine to machine.
    del made["provenance"]["made by"], kept["provenance"]["made by"]
    assert made == kept
