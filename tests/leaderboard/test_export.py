"""Exported sets of observations, open and blind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from gifd_bench.common.errors import UserError
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard import export as export_module
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import TruthFolder, export
from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.leaderboard.observation_set import Index, ObservationSet, checksum, same_observation
from gifd_bench.leaderboard.protocol import Protocol, find_protocol, read_protocol
from gifd_bench.leaderboard.reference import Reference, observations_of, reference_of, truths_of
from tests.leaderboard.helpers import Honest, write_protocol


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Protocol:
    """Four photographs of ten, and a little noise."""
    task = {"dataset": {"use": "photos", "size": 16}, "model": {"use": "convnet", "width": 2}}
    defenses = {"none": None, "noise": {"use": "gaussian_noise", "std": 0.001}}
    folder = tmp_path_factory.mktemp("small")
    return read_protocol(
        write_protocol(folder, tasks={"photos": task}, targets=[0, 1, 2, 3], defenses=defenses)
    )


def test_two_exports_are_the_same(small: Protocol, tmp_path: Path) -> None:
    first, second = (export(small, tmp_path / name, None) for name in ("a", "b"))
    assert facts(first) == facts(second)
    for name in first.index.observations:
        assert same_observation(first.index.observations[name], second.index.observations[name])
        one, other = first.load(name), second.load(name)
        assert all(torch.equal(value, other.update[key]) for key, value in one.update.items())
        assert all(torch.equal(value, other.weights[key]) for key, value in one.weights.items())


def facts(observations: ObservationSet) -> dict[str, Any]:
    """The index without the files' checksums: safetensors writes metadata in any order."""
    content = observations.index.model_dump()
    for item in content["observations"].values():
        del item["sha256"]
    return content


def test_the_index_tells_what_the_files_hold(small: Protocol, tmp_path: Path) -> None:
    made = export(small, tmp_path / "set", tmp_path / "truths")
    assert made.index.observations.keys() == small.rounds.keys()
    assert {path.name for path in made.path.iterdir()} == {
        "index.json",
        *(f"{name}.safetensors" for name in small.rounds),
    }
    task = next(iter(small.rounds.values())).task.build()
    for name, one in small.rounds.items():
        item, (observation, truth) = made.index.observations[name], one.play(task)
        assert item.sha256 == checksum(made.file(name))
        assert (item.images, item.size, item.classes) == (1, 16, 10)
        assert (item.task, item.defense, item.round) == ("photos", one.defense.label, one.observation_id)
        loaded = made.load(name)
        assert all(torch.equal(value, loaded.update[key]) for key, value in observation.update.items())
        kept = TruthFolder(tmp_path / "truths").read(name)
        assert torch.equal(kept.images, truth.images)
        assert torch.equal(kept.labels, truth.labels)


def test_no_private_image_is_handed_out(honest: Honest, reference: Reference) -> None:
    for name, truth in reference.truths.items():
        content = (honest.observations / f"{name}.safetensors").read_bytes()
        assert truth.images.numpy().tobytes() not in content
        row = truth.images[0, 0, 0].numpy().tobytes()
        assert row not in content
        with safe_open(honest.observations / f"{name}.safetensors", framework="pt") as file:
            assert not any("image" in key or key == "labels" for key in file.keys())  # noqa: SIM118


def test_a_blind_set_is_of_other_images_in_another_order_and_does_not_tell_which(
    small: Protocol, tmp_path: Path
) -> None:
    blind = export(small, tmp_path / "blind", tmp_path / "kept", 12345)
    index, shown = blind.index, export(small, tmp_path / "open", None).index
    assert index.blind
    assert not shown.blind
    assert index.observations.keys() == shown.observations.keys()
    assert [item.round for item in index.observations.values()] == [None] * 8
    text = blind.index_file.read_text()
    assert not any(one.observation_id in text for one in small.rounds.values())
    defenses = [item.defense for item in index.observations.values()]
    assert sorted(defenses) == ["noise"] * 4 + ["none"] * 4
    assert defenses != [item.defense for item in shown.observations.values()]
    # A round under each defense; the order is no target's.
    truths = {name: TruthFolder(tmp_path / "kept").read(name) for name in index.observations}
    labels = [int(truth.labels) for truth in truths.values()]
    assert labels not in (sorted(labels), [0, 0, 1, 1, 2, 2, 3, 3])
    assert set(labels) != {0, 1, 2, 3}
    assert not all(
        same_observation(item, shown.observations[name]) for name, item in index.observations.items()
    )
    for name, truth in truths.items():
        # It is the truth of this very observation.
        assert UpdateDistance(blind.load(name))(truth.images, truth.labels) < 1e-3
        metadata = safe_open(blind.file(name), framework="pt").metadata()["observation"]
        assert not re.search(r"target|seed|selection|12345", metadata)


def test_blind_sets_are_the_same_just_for_the_same_secret(small: Protocol, tmp_path: Path) -> None:
    first, again, other = (
        facts(export(small, tmp_path / f"{number}", None, secret))
        for number, secret in enumerate([7, 7, 8])
    )
    assert first == again
    assert first != other


def test_a_blind_set_is_verified_by_its_keeper_alone(small: Protocol, tmp_path: Path) -> None:
    export(small, tmp_path / "blind", tmp_path / "kept", 7)
    with pytest.raises(LeaderboardError, match="verified by its keeper: give --truths"):
        reference_of(small, tmp_path / "blind", None)
    assert reference_of(small, tmp_path / "blind", tmp_path / "kept").truths.keys() == small.rounds.keys()
    with pytest.raises(UserError, match=r"000\.safetensors"):
        reference_of(small, tmp_path / "blind", tmp_path)


@pytest.mark.parametrize("truths", ["set", "set/truths", "set/../set/x"])
def test_truths_are_not_kept_in_what_is_handed_out(truths: str, small: Protocol, tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="keep it elsewhere"):
        export(small, tmp_path / "set", tmp_path / truths)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("used", ["set", "truths"])
def test_a_folder_in_use_is_left_alone(used: str, small: Protocol, tmp_path: Path) -> None:
    (tmp_path / used).mkdir()
    (tmp_path / used / "mine").write_text("mine")
    with pytest.raises(LeaderboardError, match=f"{used}: is there already"):
        export(small, tmp_path / "set", tmp_path / "truths")
    assert [path.name for path in tmp_path.rglob("*")] == [used, "mine"]


def test_an_interrupted_export_leaves_nothing(
    small: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_module, "item_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(small, tmp_path / "set", tmp_path / "truths")
    assert list(tmp_path.iterdir()) == []


def published(small: Protocol, folder: Path, change: Any) -> Index:
    content = json.loads(export(small, folder, None).index_file.read_text())
    change(content["observations"])
    return Index.model_validate(content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda items: items.pop("007"), "other observations than those"),
        (
            lambda items: items["002"].update(sha256="0" * 64, fingerprint=[1.0] * 16),
            "observation 002 is not",
        ),
        (lambda items: items["002"].update(sha256="0" * 64, size=8), None),
    ],
)
def test_a_set_must_be_the_published_one(
    change: Any, said: str | None, small: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = published(small, tmp_path / "first", change)
    for module in ("export", "reference"):
        monkeypatch.setattr(f"gifd_bench.leaderboard.{module}.published_index", lambda _: index)
    if said is None:
        # As made on another machine.
        assert export(small, tmp_path / "second", None)
        return
    with pytest.raises(LeaderboardError, match=said):
        export(small, tmp_path / "second", None)
    assert not (tmp_path / "second").exists()
    with pytest.raises(LeaderboardError, match=said):
        observations_of(small, tmp_path / "first")


def test_the_bundled_photographs_are_the_published_ones(tmp_path: Path) -> None:
    protocol = find_protocol("photos-v1")
    made = export(protocol, tmp_path / "set", None)
    assert len(made.index.observations) == 10
    assert truths_of(protocol).keys() == made.index.observations.keys()


def test_a_set_of_another_protocol_is_refused(small: Protocol, tmp_path: Path) -> None:
    export(small, tmp_path / "set", None)
    with pytest.raises(LeaderboardError, match="of protocol tiny-v1, not photos-v1"):
        observations_of(find_protocol("photos-v1"), tmp_path / "set")


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "there is no index.json"), ("{", "not a readable JSON"), ("{}", "format: Field required")],
)
def test_a_set_without_a_sound_index_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(UserError, match=said):
        ObservationSet(tmp_path).index  # noqa: B018


def test_the_set_in_the_cache_is_made_once(
    small: Protocol, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = observations_of(small, None)
    made = first.index_file.stat().st_mtime_ns
    assert first.path.is_relative_to(tmp_path)
    assert observations_of(small, None).index_file.stat().st_mtime_ns == made
    assert [path for path in first.path.parent.iterdir() if path.is_dir()] == [first.path]


def test_a_blind_export_without_a_keeper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LeaderboardError, match="--blind needs --truths"):
        cli.run(["export", "photos-v1", "--output", str(tmp_path / "set"), "--blind", "7"])
    assert not (tmp_path / "set").exists()
