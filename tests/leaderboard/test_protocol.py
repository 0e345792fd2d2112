"""Protocols: the bundled ones, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import export, published_index
from gifd_bench.leaderboard.protocol import LOWER_IS_BETTER, find_protocol, protocol_keys, read_protocol
from gifd_bench.leaderboard.submission.schema import SubmissionFile
from tests.leaderboard.helpers import ABOUT, PROTOCOL, assert_one_line, write_protocol

# The matrix whose observations a protocol has, under which defenses, of which tasks (all of them: none is
# named), and on how many targets where those are not the matrix's.
MATRICES: dict[str, tuple[str, set[str], set[str], tuple[str, ...]]] = {
    "photos-v1": ("photos", {"none"}, set(), ()),
    "cifar10-v1": ("defenses", {"none"}, set(), ()),
    "cifar10-defended-v2": ("defenses", {"noise", "clipping", "sparsification", "soteria"}, set(), ()),
    "imagenet64-v1": ("imagenet", {"none"}, set(), ()),
    "ffhq64-v1": ("ffhq", {"none"}, set(), ()),
    "ood-v1": ("ood", {"none"}, set(), ()),
    "resnet18-v1": ("defenses_resnet18", {"none"}, set(), ("--targets=12",)),
    "batch8-v1": ("batch", {"none"}, {"b8"}, ("--targets=6",)),
}


def test_every_bundled_protocol_comes_from_a_matrix() -> None:
    assert set(protocol_keys()) == set(MATRICES)


@pytest.fixture
def without_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIFD_BENCH_DATA", str(tmp_path))


@pytest.mark.usefixtures("without_data")
@pytest.mark.parametrize("key", MATRICES)
def test_a_protocol_s_rounds_are_those_of_its_matrix_and_need_no_data(key: str) -> None:
    protocol = find_protocol(key)
    name, defenses, tasks, overrides = MATRICES[key]
    cells = [
        cell
        for cell in load_matrix(name, overrides).cells()
        if cell.defense.label in defenses and (not tasks or cell.task.label in tasks)
    ]
    found = [one.observation_id for one in protocol.rounds.values()]
    assert len(set(found)) == len(found)
    assert set(found) == {cell.observation_id for cell in cells}
    assert list(protocol.rounds) == [f"{number:03d}" for number in range(len(found))]
    assert protocol.images == sum(one.task.settings.images for one in protocol.rounds.values())


@pytest.mark.parametrize("key", MATRICES)
def test_a_bundled_protocol_can_be_submitted_to(key: str) -> None:
    protocol = find_protocol(key)
    assert protocol.key == key
    assert LOWER_IS_BETTER.isdisjoint(protocol.file.metrics[:1])
    file = {"format": "gifd-bench/submission/1", "protocol": key, "about": ABOUT}
    assert SubmissionFile.model_validate(file).protocol == key


@pytest.mark.parametrize("key", MATRICES)
def test_a_published_index_is_of_its_protocol(key: str) -> None:
    protocol, index = find_protocol(key), published_index(find_protocol(key))
    if index is None:
        pytest.skip("it has not been exported yet")
    assert index.protocol == key
    assert not index.blind
    assert index.gradient_evaluations == protocol.file.budget.gradient_evaluations
    assert index.metrics == protocol.file.metrics
    assert {name: item.round for name, item in index.observations.items()} == {
        name: one.observation_id for name, one in protocol.rounds.items()
    }


def test_what_tasks_and_defenses_are_called_makes_no_other_rounds(tmp_path: Path) -> None:
    file = find_protocol("photos-v1").file.model_dump()
    assert file["defenses"].keys() == {"none"}
    (task,) = file["tasks"].values()
    renamed = {**file, "tasks": {"pictures": task}, "defenses": {"off": {"use": "none"}}}
    protocol = read_protocol(write_protocol(tmp_path, **renamed))
    assert {one.task.label for one in protocol.rounds.values()} == {"pictures"}
    index = published_index(protocol)
    assert index is not None
    assert {name: item.round for name, item in index.observations.items()} == {
        name: one.observation_id for name, one in protocol.rounds.items()
    }
    # Exporting compares the observations with the published ones.
    assert export(protocol, tmp_path / "set", None).index.observations["000"].task == "pictures"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"budgets": 1}, "budgets: Extra inputs are not permitted"),
    "no budget": ({"budget": {"gradient_evaluations": 0}}, "budget.gradient_evaluations"),
    "metric": ({"metrics": ["psnr", "pnsr"]}, "metrics: no 'pnsr'"),
    "no metric": ({"metrics": []}, "metrics"),
    "name": ({"name": "../tiny"}, "name"),
    "version": ({"version": "1"}, "version"),
    "dataset": ({"tasks": {"a": {"dataset": "phtos", "model": "convnet"}}}, "phtos"),
    "task key": ({"tasks": {"a": {"dataset": "photos", "model": "convnet", "batchsize": 1}}}, "batchsize"),
    "defense": ({"defenses": {"a": {"use": "gaussian_noise", "sdt": 1}}}, "sdt"),
    "target": ({"targets": ["a"]}, "targets.0"),
    "title": ({"title": "\x1b[2J"}, r"title: character U\+001B"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_protocol_is_one_line(what: str, tmp_path: Path) -> None:
    changes, said = WRONG[what]
    path = write_protocol(tmp_path, **changes)
    with pytest.raises(LeaderboardError, match=said) as failed:
        read_protocol(path)
    assert str(failed.value).startswith(f"{path}: ")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("text", ["- a", "a: [", "", "\xff"])
def test_what_is_no_protocol_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LeaderboardError) as failed:
        find_protocol(str(path))
    assert_one_line(str(failed.value))


@pytest.mark.parametrize("name", ["photos", "../protocols/photos-v1", "photos-v1.yaml", "", "x\n"])
def test_a_protocol_that_there_is_not_is_one_line_with_those_that_there_are(name: str) -> None:
    with pytest.raises(LeaderboardError, match="there are: batch8-v1, cifar10-defended-v2, "):
        find_protocol(name)


def test_seeds_and_targets_are_in_the_order_of_a_matrix(tmp_path: Path) -> None:
    defenses = {"none": None, "noise": {"use": "gaussian_noise", "std": 0.1}}
    path = write_protocol(tmp_path, seeds=[0, 1], targets=[0, 1], defenses=defenses)
    rounds = list(read_protocol(path).rounds.values())
    expected = [(s, t, d) for s in (0, 1) for t in (0, 1) for d in ("none", "noise")]
    assert [(one.seed, one.target, one.defense.label) for one in rounds] == expected
    assert read_protocol(write_protocol(tmp_path)).key == f"{PROTOCOL['name']}-v{PROTOCOL['version']}"


def test_the_list_names_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["protocols"]) == 0
    shown = capsys.readouterr().out.replace(" ", "").replace("\n", "")
    assert all(key[:6] in shown for key in protocol_keys())
