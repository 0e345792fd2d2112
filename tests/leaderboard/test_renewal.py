"""The project's own entries, made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.recipe import options_within
from gifd_bench.leaderboard import cli
from gifd_bench.leaderboard.entries import Entries, bundled_entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import find_protocol, read_protocol
from gifd_bench.leaderboard.renewal import newest, own_attacks, renewal_of
from gifd_bench.leaderboard.submission.schema import Rerun, SubmittedOverride, Use, When
from tests.leaderboard.helpers import Honest, write_protocol

ENTRIES = Entries(bundled_entries())
DEFENSES = {"none": None, "noise": {"use": "gaussian_noise", "std": 0.1}}


def _recipe(folder: Path, defense: str, iterations: int, budget: int = 200) -> None:
    folder.mkdir(exist_ok=True)
    options = dict(Component("attack", "ig", "ig", {}).with_options({"iterations": iterations}).options)
    (folder / f"tuned-convnet-{defense}.yaml").write_text(
        yaml.safe_dump({"provenance": {}, "budgets": {budget: {"ig": options}, 1000: {"ig": options}}})
    )


@pytest.mark.parametrize("entry", list(ENTRIES.all()), ids=lambda entry: str(entry.path.parts[-3:]))
def test_options_of_stored_entries_are_read_by_this_version(entry: object) -> None:
    rerun = entry.submission.file.rerun  # type: ignore[attr-defined]
    Component.from_config("attack", rerun.attack_on("any", "none").model_dump()).build()


def test_old_balls_are_the_same_balls() -> None:
    growing = {"class_path": "benchmark.inversion.radii.Growing", "init_args": {"first": 0.5, "growth": 2}}
    rerun = Rerun(attack=Use(use="gifd_ood", label="gifd_ood", options={"radii": growing, "loss": None}))
    assert rerun.attack_on("any", "none").options == {"radii": {"first": 0.5, "growth": 2}}


def test_options_differ_by_task_and_defense_and_the_later_override_holds() -> None:
    overrides = [
        SubmittedOverride(when=When(defenses=["noise", "soteria"]), set={"iterations": 2}),
        SubmittedOverride(when=When(tasks=["a"], defenses=["noise"]), set={"iterations": 3}),
    ]
    rerun = Rerun(attack=Use(use="ig", label="ig", options={"iterations": 1}), overrides=overrides)
    found = {
        labels: rerun.attack_on(*labels).options["iterations"]
        for labels in [("a", "none"), ("b", "noise"), ("a", "noise"), ("a", "soteria")]
    }
    assert found == {("a", "none"): 1, ("b", "noise"): 2, ("a", "noise"): 3, ("a", "soteria"): 2}
    assert rerun.unknown_label({"a"}, {"none", "noise", "soteria"}) is None
    assert rerun.unknown_label({"a"}, {"none", "noise"}) == "soteria"


def test_the_largest_budget_that_a_track_grants_is_taken(tmp_path: Path) -> None:
    _recipe(tmp_path, "none", 7)
    recipe = str(tmp_path / "tuned-convnet-none.yaml")
    assert (options_within(recipe, "ig", 250) or {})["iterations"] == 7
    assert options_within(recipe, "ig", 100) is None
    # 200 evaluations say nothing about twice as many and more; 1,000 do.
    assert options_within(recipe, "ig", 401) is None
    assert options_within(recipe, "ig", 1001) is not None
    assert options_within(recipe, "gifd", 250) is None
    (tmp_path / "odd.yaml").write_text("budgets: {many: {ig: {}}}")
    with pytest.raises(BenchmarkError, match=r"budgets\.many: a number"):
        options_within(str(tmp_path / "odd.yaml"), "ig", 250)


def test_recipes_decide_and_the_newest_entry_where_there_is_none(tmp_path: Path) -> None:
    _recipe(tmp_path / "recipes", "noise", 490, budget=501)
    renewal = renewal_of(find_protocol("cifar10-defended-v2"), "ig", ENTRIES, tmp_path / "recipes")
    assert renewal is not None
    assert renewal.tuned == (("convnet", "noise"),)
    assert {
        label: renewal.rerun.attack_on("convnet", label).options["iterations"]
        for label in ("noise", "clipping", "soteria")
    } == {"noise": 490, "clipping": 500, "soteria": 500}
    with pytest.raises(LeaderboardError, match="no entry says what it is"):
        renewal_of(find_protocol("photos-v1"), "nobody", ENTRIES)
    with pytest.raises(LeaderboardError, match="there is no recipe, and no entry that spends about 60,004"):
        renewal_of(find_protocol("ffhq64-v1"), "ig", ENTRIES)
    assert set(own_attacks(ENTRIES)) >= {"ig", "gifd", "gifd-ood"}


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_an_entry_is_made_once_by_the_recipes(
    honest: Honest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    protocol = write_protocol(tmp_path, targets=[0], defenses=DEFENSES)
    entries = Entries(tmp_path / "entries")
    there = ENTRIES.path / "photos-v1" / "ig"
    shutil.copytree(there, entries.path / "photos-v1" / "ig")
    for defense, iterations in (("none", 5), ("noise", 3)):
        _recipe(tmp_path / "recipes", defense, iterations)
    command = ["renew", "--track", str(protocol), "--attack", "ig", "--jobs", "2"]
    command += ["--recipes", str(tmp_path / "recipes"), "--entries", str(entries.path)]
    assert cli.run(command) == 0
    assert "2 of 2 observations attacked" in capsys.readouterr().out
    made = newest(entries.of("tiny-v1"))
    assert made is not None
    assert made.verification.reranked
    evaluations = {one.defense: one.gradient_evaluations for one in made.verification.scores.values()}
    assert evaluations == {"none": 6, "noise": 4}
    assert not list((tmp_path / "cache" / "gifd-bench" / "leaderboard" / "renewals").glob("*/"))
    assert cli.run(command) == 0
    assert "tiny-v1 ig: is so already" in capsys.readouterr().out
    assert cli.run([*command, "--again", "--plan"]) == 0
    assert "tiny-v1 ig 0.2.0: tuned for 2 of 2" in capsys.readouterr().out
    # Other options, another version.
    _recipe(tmp_path / "recipes", "noise", 4)
    assert read_protocol(protocol).key == "tiny-v1"
    renewal = renewal_of(read_protocol(protocol), "ig", entries, tmp_path / "recipes")
    assert renewal is not None
    assert renewal.about.version == "0.2.0"
