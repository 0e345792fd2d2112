"""What a matrix needs is one list, made without loading or fetching anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.needs import missing, needs
from gifd_bench.tasks.datasets.cifar import CIFAR10_CLASSES


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data, no weights and no GPU."""
    monkeypatch.delenv("GIFD_BENCH_DATA", raising=False)
    monkeypatch.setenv("GIFD_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def demo(*overrides: str) -> Matrix:
    return load_matrix("demo", overrides)


def test_the_demo_needs_nothing() -> None:
    assert needs(demo()) == []


def test_everything_that_is_missing_is_one_list() -> None:
    texts = missing(
        load_matrix("imagenet", ["--tasks.imagenet.weights=file", "--tasks.imagenet.weights_file=it"])
    )
    assert [text.split(":")[0] for text in texts] == [
        "imagenet",
        "tasks.imagenet",
        "priors.biggan",
        "priors.biggan",
        "a GPU",
    ]
    assert "imagenet/val/<wnid>/<image>" in texts[0]
    assert "it: no such weights file" in texts[1]
    assert "config.json" in texts[2]
    assert "pytorch_model.bin" in texts[3]
    assert not any("\n" in text for text in texts)


def test_cells_that_have_ended_need_nothing_and_observed_ones_no_images() -> None:
    matrix = load_matrix("ood")
    assert len(missing(matrix)) == 5
    assert missing(matrix, cells=[]) == []
    photos = [cell for cell in matrix.cells() if cell.task.label == "photos"]
    assert missing(matrix, photos) == []
    assert missing(matrix, observed={cell.observation_id for cell in matrix.cells()}) == []


def test_cells_that_will_be_skipped_need_nothing() -> None:
    assert missing(load_matrix("cifar10", ["--excludes=[{defenses: noise}]"]))
    skipped = ["--tasks.resnet18.threat_model.defense=unknown"]
    skipped += [f"--attacks.{name}.stop=discrepancy" for name in ("ig", "latent")]
    excludes = "--excludes=[{attacks: [dlg, idlg, gi, ggl, gias, gion, gifd]}]"
    assert missing(load_matrix("cifar10", [*skipped, excludes])) == []


def test_a_target_that_the_data_do_not_have_is_known_before() -> None:
    (text,) = missing(demo("--targets=[0, 10]"))
    assert text.startswith("tasks.photos: target 10 does not exist")


def test_what_is_to_be_downloaded_is_not_missing() -> None:
    hub = "--priors.biggan={repository: someone/biggan, revision: abc, download: true}"
    matrix = load_matrix("imagenet", ["--needs_gpu=false", hub, "--tasks.imagenet.weights=pretrained"])
    assert [(need.text.split(":")[0], need.fetched) for need in needs(matrix)] == [
        ("imagenet", False),
        ("tasks.imagenet", True),
        ("priors.biggan", True),
        ("priors.biggan", True),
    ]


def test_images_can_only_be_downloaded_to_a_folder_that_is_named(tmp_path: Path) -> None:
    download = "--tasks.resnet18.dataset.download=true"
    (need,) = needs(load_matrix("cifar100", [download]))
    assert not need.fetched
    (need,) = needs(load_matrix("cifar100", [download, f"--tasks.resnet18.dataset.root={tmp_path}"]))
    assert need.fetched
    assert list(tmp_path.iterdir()) == []


def test_a_victim_that_is_trained_here_needs_training_images_until_it_is_there(tmp_path: Path) -> None:
    for name in CIFAR10_CLASSES:
        folder = tmp_path / "cifar10" / "test" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(folder / "0.png")
    overrides = [f"--tasks.b1.dataset.root={tmp_path}", "--targets=[0]"]
    overrides += ["--excludes=[{tasks: [b2, b4, b8, b16, b32]}]"]
    assert missing(load_matrix("batch", overrides)) == []
    (text,) = missing(load_matrix("batch", [*overrides, "--tasks.b1.weights=trained"]))
    assert "cifar10/train" in text


@pytest.mark.parametrize(
    ("prior", "messages"),
    [
        ("{use: biggan}", ["give a folder with config.json", "give a folder with pytorch_model.bin"]),
        ("{use: biggan, weights: nowhere}", ["nowhere: holds no config.json", "nowhere: holds no pytorch"]),
        ("{use: stylegan2}", ["give a file with the g_ema state dict"]),
        ("{use: stylegan2, weights: face.pt}", ["face.pt: no such weights file"]),
        ("{use: dcgan}", ["give a file with the generator's state dict"]),
        ("{use: generator_file, weights: mine.safetensors}", ["mine.safetensors: no such weights file"]),
        ("{use: untrained}", []),
    ],
)
def test_each_prior_says_which_files_it_lacks(prior: str, messages: list[str], tmp_path: Path) -> None:
    config = tmp_path / "it.yaml"
    config.write_text(
        f"tasks: {{photos: }}\ndefenses: {{none: }}\npriors: {{it: {prior}}}\nattacks: {{latent: }}\n"
    )
    texts = missing(load_matrix(str(config)))
    assert len(texts) == len(messages)
    for text, message in zip(texts, messages, strict=True):
        assert text.startswith("priors.it: ")
        assert message in text
