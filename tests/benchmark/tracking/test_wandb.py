"""What is in W&B's files, read back with W&B's own reader; and the report that is built from them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from gifd_bench.benchmark.commands import sync, wandb_report
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.report.formats import ALL, TEXTS
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.rows import Row, rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.registry import METRICS
from gifd_bench.benchmark.tracking import wandb_report as wandb_report_module
from gifd_bench.benchmark.tracking import wandb_sync
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.benchmark.tracking.wandb import STEP, WandbTracker
from gifd_bench.benchmark.tracking.wandb_settings import has_login, online
from tests.benchmark.helpers import run, tiny_matrix
from tests.benchmark.test_runner import after


@dataclass
class Inspected:
    """An offline run as `wandb leet inspect` reads it."""

    started: dict[str, Any]
    history: list[dict[str, Any]]
    summary: dict[str, Any]
    config: dict[str, Any]
    exit_code: int
    files: Path


def inspect(file: Path) -> Inspected:
    def read(*options: str) -> str:
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    records = [json.loads(line) for line in read().splitlines()]
    (started,) = [record["run"] for record in records if record["type"] == "run"]
    history = [record["history"]["item"] for record in records if record["type"] == "history"]
    whole = json.loads(read("--summary"))
    return Inspected(
        started, history, whole["summary"], whole["config"], whole["exit_code"], file.parent / "files"
    )


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("tracking/wandb/offline-run-*/run-*.wandb"))


def row_of_attack(folder: Path, attack: str) -> Row:
    (row,) = [row for row in rows_of(RunFolder(folder)) if row.attack == attack]
    return row


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, no_login: Path) -> Path:
    """A run of two cells and its summary."""
    folder = tmp_path_factory.mktemp("run")
    matrix = tiny_matrix(folder, defenses={"none": None})
    run(matrix, folder / "out", tracker=WandbTracker())
    WandbTracker().summarize(RunFolder(folder / "out"))
    return folder / "out"


@pytest.fixture(scope="module")
def gifd(tracked: Path) -> Inspected:
    """GIFD's run."""
    (file,) = files_of(tracked / "cells" / row_of_attack(tracked, "gifd").id)
    return inspect(file)


@pytest.fixture(scope="module")
def summary(tracked: Path) -> Inspected:
    """The summary run."""
    (file,) = files_of(tracked)
    return inspect(file)


@pytest.mark.slow
def test_a_cell_is_one_run_with_its_id_group_tags_and_axes(gifd: Inspected, tracked: Path) -> None:
    assert gifd.started["run_id"] == row_of_attack(tracked, "gifd").id
    assert gifd.started["run_group"] == "tiny"
    assert gifd.started["job_type"] == "cell"
    assert gifd.started["project"] == "gifd-bench"
    assert gifd.started["tags"] == ["cifar10", "gifd", "photos"]
    axes = {
        "task": "photos",
        "defense": "none",
        "prior": "cifar10",
        "attack": "gifd",
        "target": 0,
        "seed": 0,
    }
    assert axes.items() <= gifd.config.items()
    assert gifd.config["cell"]["attack"]["options"]["iterations"] == 1


def test_the_curves_hold_no_metric_of_the_truth(gifd: Inspected) -> None:
    curve = [item for item in gifd.history if "matching_loss" in item]
    assert [item["trainer/global_step"] for item in curve] == list(range(5))
    assert [item["stage"] for item in curve] == list(range(5))
    for item in curve:
        assert item["learning_rate"] > 0
        assert item["iterations_per_second"] > 0
        assert not {*METRICS, "psnr"} & set(item)
    assert gifd.history[: len(curve)] == curve


def test_the_scores_are_the_summary(gifd: Inspected, tracked: Path) -> None:
    row = row_of_attack(tracked, "gifd")
    assert gifd.summary["psnr"] == pytest.approx(row.psnr)
    assert gifd.summary["ssim"] == pytest.approx(row.ssim)
    assert gifd.summary["final_matching_loss"] == pytest.approx(row.matching_loss)
    assert gifd.summary["total_gradient_evaluations"] == row.gradient_evaluations
    assert gifd.summary["status"] == "done"
    assert gifd.exit_code == 0


def test_images_can_be_seen(gifd: Inspected) -> None:
    pair, strip = gifd.summary["truth and reconstruction"], gifd.summary["stages"]
    assert Image.open(gifd.files / pair["filenames"][0]).size == (256, 128)
    assert Image.open(gifd.files / strip["filenames"][0]).size == (6 * 128, 128)
    assert strip["captions"][0].count(" dB") == 5


def test_psnr_by_stage_is_a_table(gifd: Inspected, tracked: Path) -> None:
    table = json.loads((gifd.files / gifd.summary["psnr by stage"]["path"]).read_text())
    stages = RunFolder(tracked).path / "cells" / gifd.started["run_id"] / "result.json"
    for row, stage in zip(table["data"], json.loads(stages.read_text())["stages"], strict=True):
        assert row[0] == stage["name"]
        assert row[1] == pytest.approx(stage["psnr"], abs=1e-3)
        assert row[3] == stage["gradient_evaluations"]


def test_the_summary_run_has_every_cell_the_means_and_images(summary: Inspected, tracked: Path) -> None:
    assert summary.started["job_type"] == "summary"
    assert summary.started["run_group"] == "tiny"
    assert summary.summary["cells_in_all"] == summary.summary["cells_done"] == 2

    def table(key: str) -> list[dict[str, Any]]:
        content = json.loads((summary.files / summary.summary[key]["path"]).read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]

    assert [row["attack"] for row in table("cells")] == ["ig", "gifd"]
    assert {"task", "defense", "psnr", "status", "reason"} <= set(table("cells")[0])
    means = table("means")[1]
    assert means["psnr"] == pytest.approx(row_of_attack(tracked, "gifd").psnr)
    assert [means[name] for name in ("images", "done", "failed", "skipped", "pending")] == [1, 1, 0, 0, 0]
    assert means["lpips_alex"] is None or means["lpips_alex"] > 0
    assert len(table("images")) == 2


def test_what_a_table_of_images_is_made_of_is_within_the_run_folder(tracked: Path, no_login: Path) -> None:
    assert any((tracked / "tracking" / "wandb-files" / "artifacts" / "staging").iterdir())
    assert [path for path in no_login.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_summary_is_written_again_only_after_more_cells(tmp_path: Path) -> None:
    matrix = tiny_matrix(
        tmp_path, defenses={"none": None}, attacks={"ig": {"iterations": 2}}, targets=[0, 1]
    )
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    WandbTracker().summarize(folder)
    assert files_of(folder.path) == []
    with pytest.raises(InversionInterrupted):
        run(matrix, folder.path, after(2))
    WandbTracker().summarize(folder)
    WandbTracker().summarize(folder)
    assert len(files_of(folder.path)) == 1
    run(matrix, folder.path)
    time.sleep(1.1)  # The folder of a run is named by its second.
    WandbTracker().summarize(folder)
    first, second = map(inspect, files_of(folder.path))
    assert first.started["run_id"] == second.started["run_id"]
    assert (first.summary["cells_done"], second.summary["cells_done"]) == (1, 2)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory, no_login: Path) -> Path:
    """A run of one cell, interrupted once."""
    folder = tmp_path_factory.mktemp("interrupted")
    matrix = one_cell(folder)
    with pytest.raises(InversionInterrupted):
        run(matrix, folder / "out", after(1), tracker=WandbTracker())
    assert wandb_sync.waiting(folder / "out") == ([], 1)
    time.sleep(1.1)
    run(matrix, folder / "out", tracker=WandbTracker())
    return folder / "out"


def one_cell(folder: Path) -> Matrix:
    return tiny_matrix(folder, defenses={"none": None}, attacks={"ig": {"iterations": 4}})


@pytest.mark.slow
def test_interruption_and_resumption_keep_one_id_and_the_last_file_is_complete(interrupted: Path) -> None:
    (cell,) = (interrupted / "cells").iterdir()
    first, second = map(inspect, files_of(cell))
    assert first.started["run_id"] == second.started["run_id"] == cell.name
    assert first.started["resume"]
    assert (first.summary["status"], second.summary["status"]) == ("interrupted", "done")
    assert [i["trainer/global_step"] for i in first.history if "matching_loss" in i] == [0, 1]
    assert [i["trainer/global_step"] for i in second.history if "matching_loss" in i] == [0, 1, 2, 3]


def test_only_the_complete_file_of_an_interrupted_cell_is_uploaded(interrupted: Path) -> None:
    files, not_yet = wandb_sync.waiting(interrupted)
    assert files == files_of(next((interrupted / "cells").iterdir()))[1:]
    assert not_yet == 0


@pytest.mark.slow
def test_a_failed_cell_says_why_and_the_next_one_has_a_run_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gifd_bench.benchmark.attacks.ig import IG

    def broken(self: Any, images: Any) -> Any:
        raise ZeroDivisionError("it fell over")

    monkeypatch.setattr(IG, "penalty", broken)
    run(tiny_matrix(tmp_path, defenses={"none": None}), tmp_path / "out", tracker=WandbTracker())
    failed, done = rows_of(RunFolder(tmp_path / "out"))
    (file,) = files_of(tmp_path / "out" / "cells" / failed.id)
    found = inspect(file)
    assert (found.summary["status"], found.exit_code) == ("failed", 1)
    assert found.summary["reason"] == "ZeroDivisionError: it fell over"
    assert len(files_of(tmp_path / "out" / "cells" / done.id)) == 1


def test_without_a_server_runs_become_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    begin, modes = wandb.init, []

    def unreachable(**settings: Any) -> Any:
        modes.append(settings["mode"])
        if settings["mode"] == "online":
            raise wandb.errors.CommError("no network")
        return begin(**settings)

    monkeypatch.setattr(wandb, "init", unreachable)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    run(tiny_matrix(tmp_path, defenses={"none": None}), tmp_path / "out", tracker=WandbTracker())
    assert modes == ["online", "offline", "offline"]
    assert len(wandb_sync.waiting(tmp_path / "out")[0]) == 2
    assert capsys.readouterr().err.count("W&B cannot be reached (no network)") == 1


def test_a_server_that_has_part_of_a_cell_is_sent_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    sent: list[dict[str, Any]] = []
    server = SimpleNamespace(
        resumed=True, summary={STEP: 1}, log=sent.append, define_metric=lambda *a, **k: None
    )
    monkeypatch.setattr(wandb, "init", lambda **settings: server)
    tracker = WandbTracker(offline=False)
    tracker.begin("tiny", next(iter(one_cell(tmp_path).cells())), CellFolder(tmp_path / "cell"))
    for iteration in range(4):
        tracker.log({"matching_loss": 1.0}, iteration)
    assert [numbers[STEP] for numbers in sent] == [2, 3]


def test_a_login_is_a_key_or_an_entry_for_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_login()
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    file.write_text("machine example.org login user password secret\n")
    assert not has_login()
    monkeypatch.setenv("WANDB_BASE_URL", "https://example.org")
    assert has_login()
    assert online()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not online()
    file.write_text("this is no netrc file")
    assert not has_login()
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert has_login()


@pytest.mark.slow
def test_sync_without_a_login_is_one_line(tracked: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"no W&B login: .*; 3 runs are waiting below"):
        sync.run([str(tracked)])
    with pytest.raises(BenchmarkError, match="not a folder"):
        sync.run([str(tracked / "nowhere")])


def test_sync_uploads_what_is_not_marked_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_sync, "AT_A_TIME", 2)
    sent: list[str] = []

    def upload(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """As `wandb sync` does: everything but the run `bad` is marked."""
        for folder in map(Path, command[command.index("sync") + 1 :]):
            (file,) = folder.glob("*.wandb")
            if file.name == "run-bad.wandb":
                return subprocess.CompletedProcess(command, 1, "wandb: Syncing\nError: refused\n")
            sent.append(file.stem)
            file.with_suffix(".wandb.synced").touch()
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", upload)
    for name in ("a", "b", "bad", "c"):
        folder = tmp_path / "wandb" / f"offline-run-20260101_000000-{name}"
        folder.mkdir(parents=True)
        (folder / f"run-{name}.wandb").touch()
    assert sync.run([str(tmp_path)]) == 1
    assert sent == ["run-a", "run-b"]
    assert "2 of 4 runs uploaded, then: Error: refused" in capsys.readouterr().err
    (tmp_path / "wandb" / "offline-run-20260101_000000-bad" / "run-bad.wandb").unlink()
    assert sync.run([str(tmp_path)]) == 0
    assert sync.run([str(tmp_path)]) == 0
    assert sent == ["run-a", "run-b", "run-c"]
    assert "nothing to upload" in capsys.readouterr().out


def test_sync_gives_up_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **options: Any) -> Any:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    file = tmp_path / "offline-run-20260101_000000-a" / "run-a.wandb"
    with pytest.raises(wandb_sync.UploadFailed, match="no answer within 7 s"):
        wandb_sync.upload([file], 7.0, lambda sent: None)


def test_the_command_of_wandb_itself_finds_what_sync_gives_it(tracked: Path) -> None:
    files, _ = wandb_sync.waiting(tracked)
    command = [sys.executable, "-m", "wandb", "sync", "--dry-run", *(str(file.parent) for file in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "Would sync 3 run(s)" in done.stdout + done.stderr


def test_a_report_without_a_login_is_a_spec_with_every_panel(
    tracked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wandb_report.run([str(tracked), "--entity", "lab", "--project", "leaks"]) == 0
    assert f"gifd-bench wandb-report {tracked}" in capsys.readouterr().out
    content = json.loads((tracked / "wandb-report.json").read_text())
    assert content["project"]["name"] == "leaks"
    grids = [block["metadata"] for block in content["spec"]["blocks"] if block["type"] == "panel-grid"]
    panels: dict[str, list[dict[str, Any]]] = {}
    for grid in grids:
        for panel in grid["panelBankSectionConfig"]["panels"]:
            panels.setdefault(panel["viewType"], []).append(panel["config"])
    bars = [config["metrics"] for config in panels["Bar Chart"]]
    assert bars.count(["psnr"]) == bars.count(["ssim"]) == 2
    keys = [config["mediaKeys"] for config in panels["Media Browser"]]
    assert keys == [["truth and reconstruction"], ["stages"]]
    assert ["matching_loss"] in [config["metrics"] for config in panels["Run History Line Plot"]]
    assert "cells" in json.dumps(panels["Weave"])

    groups = [[key["name"] for key in grid["runSets"][0]["grouping"]] for grid in grids]
    assert groups[:2] == [["defense.value", "attack.value"], ["attack.value"]]
    for grid in grids:
        filters = {f["key"]["name"]: f["value"] for f in grid["runSets"][0]["filters"]["filters"]}
        assert filters["group"] == "tiny"
        assert filters["jobType"] in ("cell", "summary")
    text = "\n".join(b["content"] for b in content["spec"]["blocks"] if b["type"] == "markdown-block")
    assert "width: 2" in text
    assert "- torch: " in text
    # The same sentences and statistics as on the page of the run.
    said = json.dumps(content["spec"]["blocks"])
    for sentence in wandb_report_module.found(rows_of(RunFolder(tracked))):
        assert json.dumps(sentence)[1:-1] in said
    assert TEXTS["markdown"](rows_of(RunFolder(tracked)), ALL) in text


def test_a_report_that_cannot_be_saved_is_one_line(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    def refuse() -> Any:
        raise wandb.errors.CommError("no network")

    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb, "Api", refuse)
    with pytest.raises(BenchmarkError, match="could not be saved on W&B: no network"):
        wandb_report.run([str(tracked)])


def test_a_guarded_summary_of_no_run_is_a_warning(tmp_path: Path) -> None:
    lines: list[str] = []
    Guarded(WandbTracker(), lines.append).summarize(RunFolder(tmp_path))
    assert len(lines) == 1
