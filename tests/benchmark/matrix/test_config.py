"""Configurations: resolved, overridden, and every way to get one wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.radii import PerEntry, PerStage
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import NOUNS, Component
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.config_files import bundled_configs, find_config
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.selection import Selection
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.training.settings import VictimTraining

SMALL: dict[str, Any] = {
    "tasks": {
        "photos": {"dataset": {"use": "photos", "size": 16}, "model": {"use": "convnet", "width": 2}}
    },
    "defenses": {"none": None, "noise": {"use": "gaussian_noise", "std": 0.5}},
    "priors": {"cifar10": None},
    "attacks": {"ig": {"iterations": 3}, "gifd": {"iterations": 1}},
    "targets": [0, 2],
    "seeds": [0, 1],
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any], str]:
    def written(content: Any) -> str:
        path = tmp_path / "small.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)

    return written


Write = Callable[[Any], str]


@pytest.mark.parametrize("name", bundled_configs())
def test_every_bundled_configuration_resolves(name: str) -> None:
    matrix = load_matrix(name)
    assert matrix.name == name
    assert len({cell.id for cell in matrix.cells()}) == len(list(matrix.cells())) > 0


def test_the_product_of_the_axes_with_priors_only_where_they_are_used(write: Write) -> None:
    matrix = load_matrix(write(SMALL))
    cells = list(matrix.cells())
    assert len(cells) == 2 * 2 * 2 * 2
    assert {(c.attack.label, c.prior.label if c.prior else None) for c in cells} == {
        ("ig", None),
        ("gifd", "cifar10"),
    }
    assert matrix.name == "small"
    two = load_matrix(
        write({**SMALL, "priors": {"a": {"use": "cifar10"}, "b": {"use": "cifar10"}}}), ["--seeds=[0]"]
    )
    assert len(list(two.cells())) == 2 * 2 * (1 + 2)


def test_options_are_fully_resolved(write: Write) -> None:
    matrix = load_matrix(write(SMALL))
    ig, gifd = matrix.attacks
    assert ig.options == {
        "iterations": 3,
        "learning_rate": 0.1,
        "total_variation": 1e-4,
        "loss": "cosine",
        "restarts": 1,
        "restarts_at_once": None,
        "keep": "all",
        "stop": "matching_loss",
        "label_rule": "counts",
    }
    assert gifd.options["radii"] == {"per_entry": 1.0}
    assert matrix.tasks[0].settings.threat_model.labels == "inferred"
    assert matrix.tasks[0].model.options == {"width": 2}


@pytest.mark.parametrize(
    ("override", "check"),
    [
        ("--attacks.ig.iterations=9", lambda m: m.attacks[0].build().options.iterations == 9),
        ("--attacks.gifd.radii=null", lambda m: m.attacks[1].build().options.radii is None),
        (
            "--attacks.gifd.radii={per_entry: 0.7}",
            lambda m: m.attacks[1].build().options.radii.per_entry == 0.7,
        ),
        (
            "--attacks.gifd.radii={per_stage: [3, 4]}",
            lambda m: m.attacks[1].build().options.radii.per_stage == (3.0, 4.0),
        ),
        ("--defenses.noise.std=0.25", lambda m: m.defenses[1].build().std == 0.25),
        ("--tasks.photos.dataset.size=24", lambda m: m.tasks[0].build().dataset.image_size == 24),
        (
            "--tasks.photos.threat_model.labels=known",
            lambda m: m.tasks[0].settings.threat_model.labels == "known",
        ),
        ("--tasks.photos.model.width=5", lambda m: m.tasks[0].model.options["width"] == 5),
        ("--targets=[1]", lambda m: m.targets == (1,)),
        ("--name=other", lambda m: m.name == "other"),
        ("--attacks.ig.use=latent", lambda m: m.attacks[0].name == "latent"),
    ],
)
def test_any_field_is_overridden_on_the_command_line(
    write: Write, override: str, check: Callable[[Matrix], bool]
) -> None:
    assert check(load_matrix(write(SMALL), [override]))


@pytest.mark.parametrize("separator", ["=", " "])
def test_a_list_on_the_command_line_takes_the_place_of_the_whole_list(write: Write, separator: str) -> None:
    path = write({**SMALL, "excludes": [{"attacks": ["ig"], "defenses": ["noise"]}, {"targets": [0]}]})
    override = f'--excludes{separator}[{{"attacks": ["gifd"]}}]'
    matrix = load_matrix(path, override.split(" ", 1) if separator == " " else [override])
    assert [where.given for where in matrix.excludes] == [{"attacks": ["gifd"]}]


def test_a_mapping_on_the_command_line_leaves_what_it_does_not_name(write: Write) -> None:
    (ig, _) = load_matrix(write(SMALL), ['--attacks.ig={"learning_rate": 0.5}']).attacks
    assert (ig.options["iterations"], ig.options["learning_rate"]) == (3, 0.5)


def test_radii_are_built_as_classes(write: Write) -> None:
    spec = {"per_stage": [1]}
    matrix = load_matrix(write({**SMALL, "attacks": {"gifd": {"radii": spec}}}))
    assert isinstance(matrix.attacks[0].build().options.radii, PerStage)
    assert isinstance(load_matrix(write(SMALL)).attacks[1].build().options.radii.radius(1, 2), float)
    assert PerEntry(0.2).radius(1, 2) == pytest.approx(0.4)


def changed(**changes: Any) -> dict[str, Any]:
    return {**SMALL, **changes}


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        (changed(atacks={}), [], "atacks"),
        (changed(attacks={"ig": {"iteratons": 3}}), [], "iteratons"),
        (changed(attacks={"ig": {"iterations": "many"}}), [], "attacks.ig.iterations"),
        (changed(attacks={"ig": {"iterations": 2.5}}), [], "attacks.ig.iterations"),
        (changed(attacks={"igg": None}), [], "attacks.igg: no attack 'igg'; did you mean ig"),
        (changed(attacks={"ig": 3}), [], "attacks.ig: a mapping is expected"),
        (changed(attacks={"a b": {"use": "ig"}}), [], "label 'a b'"),
        (changed(attacks=None), [], "attacks: at least one"),
        (changed(defenses={"none": {"std": 1}}), [], "defenses.none"),
        (changed(priors=None), [], "attacks.gifd needs a prior"),
        (changed(tasks={"photos": {"dataset": "fotos"}}), [], "no dataset 'fotos'"),
        (changed(tasks={"photos": {"threat_model": {"labels": "guessed"}}}), [], "tasks.photos"),
        (changed(tasks={"photos": {"batchsize": 3}}), [], "batchsize"),
        (changed(targets=[0, 0]), [], "targets: distinct numbers"),
        (changed(targets=[-1]), [], "targets: distinct numbers"),
        (changed(seeds=[]), [], "seeds: at least one"),
        (changed(name="../up"), [], "name: '../up'"),
        (SMALL, ["--attacks.ig.iteratons=3"], "attacks.ig.iteratons"),
        (SMALL, ["--attacks.ig.iterations=x"], "attacks.ig.iterations"),
        (SMALL, ["--attacks.ig.use=magic"], "no attack 'magic'"),
        (SMALL, ["surplus"], "surplus"),
        ("- a\n- b\n", [], "a mapping is expected at the top"),
        ("a: [", [], "not a readable YAML file"),
        ("a: !!python/object/apply:os.system ['echo']", [], "not a readable YAML file"),
    ],
)
def test_a_wrong_configuration_is_one_line_that_says_where(
    write: Write, content: Any, overrides: list[str], message: str
) -> None:
    path = write(content)
    with pytest.raises(BenchmarkError) as error:
        load_matrix(path, overrides)
    text = str(error.value)
    assert message in text
    assert path in text
    assert "\n" not in text


@pytest.mark.parametrize("name", ["nonesuch", "../configs/demo", "demo.yaml", "/etc"])
def test_a_configuration_that_does_not_exist(name: str) -> None:
    with pytest.raises(BenchmarkError, match=r"no such file, and no bundled configuration .*demo"):
        find_config(name)


def test_a_cell_survives_json_with_its_id(write: Write) -> None:
    for cell in load_matrix(write(SMALL)).cells():
        again = Cell.from_config(json.loads(json.dumps(cell.config())))
        assert again == cell
        assert again.id == cell.id


def test_a_matrix_survives_json(write: Write) -> None:
    matrix = load_matrix(write(SMALL))
    assert Matrix.from_config(json.loads(json.dumps(matrix.config()))) == matrix


def test_ids_depend_on_every_option_and_on_nothing_else(write: Write) -> None:
    def ids(*overrides: str) -> list[str]:
        return [cell.id for cell in load_matrix(write(SMALL), overrides).cells()]

    assert ids() == ids("--name=other") == ids("--attacks.ig.learning_rate=0.1")
    assert not set(ids()) & set(ids("--tasks.photos.model.width=3"))
    assert len(set(ids()) & set(ids("--attacks.ig.iterations=4"))) == 8


def test_cells_of_one_target_share_their_observation(write: Write) -> None:
    cells = list(load_matrix(write(SMALL)).cells())
    assert len({cell.observation_id for cell in cells}) == 2 * 2 * 2
    for cell in cells:
        twin = next(c for c in cells if c.observation_id == cell.observation_id and c.attack != cell.attack)
        assert (twin.target, twin.seed, twin.defense) == (cell.target, cell.seed, cell.defense)


def test_each_use_of_randomness_has_a_stream_of_its_own(write: Write) -> None:
    cells = list(load_matrix(write(SMALL)).cells())
    for seed in (0, 1):
        of_seed = [cell for cell in cells if cell.seed == seed]
        assert len({cell.model_seed for cell in of_seed}) == 1
        assert len({cell.defense_seed for cell in of_seed}) == 2
        assert len({cell.attack_seed for cell in of_seed}) == 2
    assert len({cell.model_seed for cell in cells}) == 2
    assert {cell.model_seed for cell in cells}.isdisjoint(cell.attack_seed for cell in cells)


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, noun in NOUNS.items() for n in noun])
def test_every_component_describes_itself_in_a_sentence(kind: str, name: str) -> None:
    text = NOUNS[kind].describe(name)
    assert text.endswith(".")
    assert 10 < len(text) <= 300


def test_a_component_from_elsewhere_with_a_wrong_option_is_one_line() -> None:
    with pytest.raises(BenchmarkError, match="iterations"):
        Component("attack", "ig", "ig", {"iterations": "x"}).build()


def test_defenses_compose_in_a_list(write: Write) -> None:
    content = changed(defenses={"both": [{"use": "clipping", "bound": 2.0}, "gaussian_noise"]})
    matrix = load_matrix(write(content), ["--defenses.both.part2.std=0.5"])
    (both,) = matrix.defenses
    assert both.build() == Composition((Clipping(2.0), GaussianNoise(0.5)))
    assert Matrix.from_config(matrix.config()) == matrix
    with pytest.raises(BenchmarkError, match=r"defenses\.both\.part1"):
        load_matrix(write(changed(defenses={"both": [{"use": "clipping", "bond": 2.0}]})))


def test_settings_of_client_selection_and_training_are_typed(write: Write) -> None:
    task = {
        "dataset": "photos",
        "batch_size": 2,
        "client": {"local": {"epochs": 2, "batch_size": 1, "learning_rate": 0.1}, "clients": 2},
        "selection": {"rule": "random", "seed": 3},
        "training": {"epochs": 1},
    }
    settings = load_matrix(write(changed(tasks={"photos": task}))).tasks[0].settings
    assert settings == TaskSettings(
        batch_size=2,
        client=ClientSettings(FedAvg(2, 1, 0.1), clients=2),
        selection=Selection("random", seed=3),
        training=VictimTraining(epochs=1),
    )
    for wrong in ({"client": {"local": {"epoch": 2}}}, {"selection": {"rule": "best"}}, {"batch_size": 65}):
        with pytest.raises(BenchmarkError, match=r"tasks\.photos|batch_size") as error:
            load_matrix(write(changed(tasks={"photos": wrong})))
        assert "\n" not in str(error.value)


def test_another_component_named_on_the_command_line_has_none_of_the_files_options(write: Write) -> None:
    matrix = load_matrix(
        write(SMALL),
        ["--defenses.noise.use=clipping", "--defenses.noise.bound=2", "--attacks.ig.use=latent"],
    )
    assert matrix.defenses[1].build() == Clipping(2.0)
    assert matrix.attacks[0].options["iterations"] == 1000
