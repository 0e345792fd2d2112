"""Datasets of files: what is read, from where, with which labels; and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from gifd_bench.priors.generators.biggan import imagenet_classes
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.cifar import Cifar10, Cifar100
from gifd_bench.tasks.datasets.ffhq import FFHQ
from gifd_bench.tasks.datasets.folder import ImageFolder
from gifd_bench.tasks.datasets.image_files import MAX_PIXELS, read_image
from gifd_bench.tasks.datasets.imagenet import ImageNet
from gifd_bench.tasks.datasets.pacs import PACS
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.datasets.registry import DATASETS
from gifd_bench.tasks.errors import TaskError
from tests.data import need

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(path: Path, color: tuple[int, int, int] = RED, size: tuple[int, int] = (12, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def save_age(root: Path, stem: str, faces: object) -> None:
    path = root / f"ffhq/json/{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(faces))


def aged(age: object) -> list[dict[str, Any]]:
    return [{"faceId": "x", "faceAttributes": {"gender": "female", "age": age}}]


def color_of(image: torch.Tensor) -> tuple[int, ...]:
    return tuple((image.mean(dim=(1, 2)) * 255).round().int().tolist())


# Where the images lie.


@pytest.mark.parametrize("name", sorted(set(DATASETS.bundled) - {"photos"}))
def test_without_a_data_folder_one_line_says_what_to_put_where(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIFD_BENCH_DATA", raising=False)
    with pytest.raises(TaskError, match=rf"^{name}: .*GIFD_BENCH_DATA .*root .*{name}/") as caught:
        DATASETS.find(name)()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(DATASETS.bundled) - {"photos"}))
def test_an_empty_data_folder_is_named_in_the_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIFD_BENCH_DATA", str(tmp_path))
    with pytest.raises(TaskError, match=rf"^{name}: {tmp_path} holds no folder {name}") as caught:
        DATASETS.find(name)()
    assert "\n" not in str(caught.value)


def test_the_option_root_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a/pacs/photo/dog/1.png", RED)
    save(tmp_path / "b/pacs/photo/dog/1.png", BLUE)
    monkeypatch.setenv("GIFD_BENCH_DATA", str(tmp_path / "a"))
    assert color_of(PACS()[0][0]) == RED
    assert color_of(PACS(root=str(tmp_path / "b"))[0][0]) == BLUE


# One image.


def test_an_image_is_cropped_to_its_center_square_and_area_pooled(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    square = torch.from_numpy(pixels[:, 16:80].astype(np.float32)).permute(2, 0, 1) / 255
    # Pillow pools along rows, rounds, pools along columns and rounds again.
    slow = F.avg_pool2d(square, 4)
    torch.testing.assert_close(read_image(tmp_path / "wide.png", 16), slow, atol=1.01 / 255, rtol=0)
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    tall = read_image(tmp_path / "tall.png", 16)
    torch.testing.assert_close(tall, slow.transpose(1, 2), atol=1.01 / 255, rtol=0)


def test_an_image_of_the_right_size_is_read_exactly(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", 16)
    assert image.dtype == torch.float32
    assert torch.equal((image * 255).round().byte(), torch.from_numpy(pixels).permute(2, 0, 1))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_any_8_bit_mode_becomes_rgb_in_range(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("L", (9, 20), 200).convert(mode).save(path)
    image = read_image(path, 16)
    assert image.shape == (3, 16, 16)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1
    if mode != "1":
        assert color_of(image) == (200, 200, 200)


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    pixels[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees clockwise to view
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    image = read_image(tmp_path / "a.png", 16)
    assert float(image[:, :8].min()) == 1
    assert float(image[:, 8:].max()) == 0


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"GIF89a\x01\x00\x01\x00"])
def test_a_file_that_is_no_image_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    save(tmp_path / "cat/1.png")
    (tmp_path / "cat/2.png").write_bytes(content)
    dataset = ImageFolder(str(tmp_path))
    assert color_of(dataset[0][0]) == RED
    with pytest.raises(TaskError, match=rf"^{tmp_path}/cat/2\.png: not a") as caught:
        dataset[1]
    assert "\n" not in str(caught.value)


def test_a_file_that_has_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = save(tmp_path / "cat/1.png")
    dataset = ImageFolder(str(tmp_path))
    path.unlink()
    with pytest.raises(TaskError, match=r"cat/1\.png: not an image that can be read"):
        dataset[0]


def test_a_decompression_bomb_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (MAX_PIXELS // 4096 + 1, 4096)).save(bomb)

    def load(*args: Any) -> None:
        raise AssertionError("pixels were read")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(TaskError, match=r"bomb\.png: .* is more than 67,108,864 pixels"):
        read_image(bomb, 32)


def test_16_bits_are_refused_instead_of_turning_white(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 3000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(TaskError, match=r"deep\.png: .*more than 8 bits"):
        read_image(tmp_path / "deep.png", 16)


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["BMP", "JPEG", "PNG", "WEBP"])
@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_image_is_read_or_refused_and_nothing_else(
    form: str, data: st.DataObject, tmp_path: Path
) -> None:
    content = bytearray(encoded(form))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.png"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        image = read_image(path, 8)
    except TaskError as error:
        message = str(error)
    else:
        message = str(path)
        assert image.shape == (3, 8, 8)
        assert 0 <= float(image.min()) <= float(image.max()) <= 1
    assert message.startswith(str(path))
    assert "\n" not in message


# One folder per class.


def test_labels_are_folders_by_name_and_images_are_in_order(tmp_path: Path) -> None:
    for name in ("zebra/b.png", "zebra/a.JPG", "ant/10.png", "ant/9.webp", "ant/notes.txt", ".git/x.png"):
        path = save(tmp_path / name.replace("notes.txt", "x.png"))
        path.rename(tmp_path / name)
    save(tmp_path / "ant/._9.png")
    save(tmp_path / "stray.png")
    dataset = ImageFolder(str(tmp_path), size=8)
    assert dataset.class_names == ("ant", "zebra")
    assert [path.name for path in dataset.paths] == ["10.png", "9.webp", "a.JPG", "b.png"]
    assert list(dataset.labels) == [0, 0, 1, 1]
    assert len(dataset) == 4
    assert dataset[3][1] == 1


def test_labels_are_known_without_reading_an_image(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"never read")
    assert list(ImageFolder(str(tmp_path)).labels) == [0, 1]


def test_a_folder_without_classes_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "1.png")
    with pytest.raises(TaskError, match=f"^{tmp_path}: holds no folders: folder needs one per class"):
        ImageFolder(str(tmp_path))


def test_a_class_without_images_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "a/deeper/1.png")
    with pytest.raises(TaskError, match=f"^{tmp_path}/a: holds no images"):
        ImageFolder(str(tmp_path))


def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nowhere is no folder"):
        ImageFolder(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("link", ["a/link.png", "c"])
def test_a_link_that_leads_out_of_the_folder_is_an_error(link: str, tmp_path: Path) -> None:
    outside = save(tmp_path / "outside/secret.png")
    save(tmp_path / "data/a/1.png")
    target = outside if link.endswith(".png") else outside.parent
    (tmp_path / "data" / link).symlink_to(target)
    with pytest.raises(TaskError, match=rf"{link}: a link that leads out of {tmp_path}/data"):
        ImageFolder(str(tmp_path / "data"))


def test_links_inside_the_folder_and_to_the_folder_are_followed(tmp_path: Path) -> None:
    save(tmp_path / "data/a/1.png")
    (tmp_path / "data/a/2.png").symlink_to(tmp_path / "data/a/1.png")
    (tmp_path / "data/b").symlink_to("a")
    (tmp_path / "link").symlink_to("data")
    assert list(ImageFolder(str(tmp_path / "link")).labels) == [0, 0, 1, 1]


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    save(tmp_path / "a/1.png")
    os.mkfifo(tmp_path / "a/0.png")
    assert len(ImageFolder(str(tmp_path))) == 1


@pytest.mark.parametrize("size", [7, 257])
@pytest.mark.parametrize(
    "make",
    [
        lambda root, size: ImageFolder(f"{root}/pacs/photo", size),
        lambda root, size: PACS("photo", root, size),
    ],
    ids=["folder", "pacs"],
)
def test_a_size_out_of_range_is_an_error(make: Callable[..., Dataset], size: int, tmp_path: Path) -> None:
    save(tmp_path / "pacs/photo/dog/1.png")
    with pytest.raises(TaskError, match=f"size {size} is not between 8 and 256"):
        make(str(tmp_path), size)


# The datasets, one by one.


def test_imagenet_has_its_1000_classes_whichever_are_there(tmp_path: Path) -> None:
    save(tmp_path / "imagenet/val/n02504458/ILSVRC2012_val_00000048.JPEG", GREEN)
    save(tmp_path / "imagenet/val/n01443537/ILSVRC2012_val_00000236.JPEG", RED)
    save(tmp_path / "imagenet-samples/n01440764/second_choice.jpg")
    dataset = ImageNet(str(tmp_path))
    assert list(dataset.labels) == [1, 386]  # goldfish, African elephant
    assert len(set(dataset.class_names)) == 1000
    assert dataset[1][0].shape == (3, 64, 64)
    assert dataset.mean == (0.485, 0.456, 0.406)


def test_priors_of_imagenet_name_the_classes_as_the_dataset_does(tmp_path: Path) -> None:
    save(tmp_path / "imagenet-samples/n01443537/1.jpg")
    assert ImageNet(str(tmp_path)).class_names == imagenet_classes(1000)


def test_an_unknown_wnid_is_an_error_that_names_it(tmp_path: Path) -> None:
    save(tmp_path / "imagenet-samples/n01443537/1.jpg")
    save(tmp_path / "imagenet-samples/n00000001/1.jpg")
    with pytest.raises(TaskError, match="'n00000001' is no class of imagenet"):
        ImageNet(str(tmp_path))


def test_pacs_keeps_its_labels_where_classes_are_missing(tmp_path: Path) -> None:
    save(tmp_path / "pacs/sketch/person/1.jpg", (9, 9, 9))
    dataset = PACS("sketch", str(tmp_path))
    assert list(dataset.labels) == [6]
    assert len(dataset.class_names) == 7
    save(tmp_path / "pacs/sketch/cat/1.jpg")
    with pytest.raises(TaskError, match="'cat' is no class of pacs"):
        PACS("sketch", str(tmp_path))
    with pytest.raises(TaskError, match="holds no folder pacs/photo"):
        PACS("photo", str(tmp_path))


def test_the_class_of_a_face_is_the_decade_of_its_age(tmp_path: Path) -> None:
    ages = [0, 9.0, 9.9, 10, 25, 89.5, 90, 100, 120.0]
    for k, age in enumerate(ages):
        save(tmp_path / f"ffhq/thumbnails128x128/{k:05}.png")
        save_age(tmp_path, f"{k:05}", aged(age))
    dataset = FFHQ(str(tmp_path))
    assert list(dataset.labels) == [0, 0, 0, 1, 2, 8, 9, 9, 9]
    assert list(dataset.labels[-2:]) == [9, 9]
    assert len(dataset.class_names) == 10
    assert dataset.class_names[2] == "20 to 29 years"


def test_faces_lie_in_one_folder_or_one_level_below_it_in_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("01000/01000", "00000/00002", "00001", "00000/00000"):
        save(tmp_path / f"ffhq/thumbnails128x128/{name}.png")
    for number, age in (("00000", 5), ("00001", 15), ("00002", 25), ("01000", 35)):
        save_age(tmp_path, number, aged(age))
    dataset = FFHQ(str(tmp_path))
    assert [path.stem for path in dataset.paths] == ["00000", "00001", "00002", "01000"]
    assert list(dataset.labels) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "faces",
    [[], {}, None, 3, "age", [{}], [{"faceAttributes": None}], [{"faceAttributes": {"gender": "male"}}]]
    + [aged(age) for age in (None, "30", -1, True, float("nan"), float("inf"), [3])],
)
def test_a_face_without_an_age_is_an_error_and_never_takes_the_label_of_the_next(
    faces: object, tmp_path: Path
) -> None:
    for k in range(3):
        save(tmp_path / f"ffhq/thumbnails128x128/0000{k}.png")
        save_age(tmp_path, f"0000{k}", aged(10 * k))
    save_age(tmp_path, "00001", faces)
    dataset = FFHQ(str(tmp_path))
    assert (dataset[0][1], dataset[2][1]) == (0, 2)
    with pytest.raises(TaskError, match=r"ffhq/json/00001\.json: ") as caught:
        dataset[1]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "{", "[" * 100_000, "\ufeff"])
def test_a_features_file_that_is_missing_or_no_json_is_an_error_that_names_it(
    content: str | None, tmp_path: Path
) -> None:
    save(tmp_path / "ffhq/thumbnails128x128/00007.png")
    save_age(tmp_path, "00008", aged(3))
    if content is not None:
        (tmp_path / "ffhq/json/00007.json").write_text(content)
    with pytest.raises(TaskError, match=r"00007\.json: .*label of this image is missing"):
        FFHQ(str(tmp_path))[0]


def test_ffhq_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "ffhq/thumbnails128x128").mkdir(parents=True)
    with pytest.raises(TaskError, match="holds no folder ffhq/json"):
        FFHQ(str(tmp_path))
    (tmp_path / "ffhq/json").mkdir()
    with pytest.raises(TaskError, match="thumbnails128x128: holds no images"):
        FFHQ(str(tmp_path))


@pytest.mark.parametrize(("cifar", "count"), [(Cifar10, 10), (Cifar100, 100)])
def test_cifar_in_class_folders_has_the_labels_of_the_archive(
    cifar: type[Cifar10] | type[Cifar100], count: int, tmp_path: Path
) -> None:
    assert len(set(cifar.class_names)) == count
    # As in the archive, labels are in alphabetical order.
    assert list(cifar.class_names) == sorted(cifar.class_names)
    name = cifar.class_names[7]
    save(tmp_path / cifar.name / "test" / name / "0.png", GREEN)
    dataset = cifar(root=str(tmp_path))
    assert dataset[0][1] == 7
    assert dataset[0][0].shape == (3, 32, 32)
    with pytest.raises(TaskError, match=rf"holds no folder {cifar.name}/train: .*or set download"):
        cifar("train", str(tmp_path))


def fake_archive(root: Path, cifar: Any, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """Write an archive of four images a file, and declare its MD5 sums the published ones."""
    archive = cifar.archive
    folder = root / cifar.name / archive.folder
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)

    def write(name: str, content: dict[str, Any]) -> str:
        path = folder / name
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    batch = {"data": pixels.reshape(4, -1), archive.labels: [3, 1, 4, 1]}
    files = {
        split: [(name, write(name, batch)) for name, _ in listed] for split, listed in archive.files.items()
    }
    monkeypatch.setattr(cifar, "archive", replace(archive, files=files))
    return pixels


@pytest.mark.parametrize("cifar", [Cifar10, Cifar100])
def test_cifar_as_published_is_read_after_its_sums_are_checked(
    cifar: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = fake_archive(tmp_path, cifar, monkeypatch)
    dataset = cifar(root=str(tmp_path))
    assert list(dataset.labels) == [3, 1, 4, 1]
    assert torch.equal((dataset[2][0] * 255).round().byte(), torch.from_numpy(pixels[2]))
    assert dataset[2][1] == 4
    assert len(cifar("train", str(tmp_path))) == 4 * len(cifar.archive.files["train"])
    damaged = tmp_path / cifar.name / cifar.archive.folder / cifar.archive.files["test"][0][0]
    damaged.write_bytes(damaged.read_bytes() + b"x")

    def load(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a damaged pickle was read")

    monkeypatch.setattr("pickle.loads", load)
    with pytest.raises(TaskError, match="is damaged or incomplete: delete it") as caught:
        cifar(root=str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cifar", "published"),
    [(Cifar10, torchvision.datasets.CIFAR10), (Cifar100, torchvision.datasets.CIFAR100)],
)
def test_the_archives_are_those_that_torchvision_downloads(cifar: Any, published: Any) -> None:
    assert cifar.archive.folder == published.base_folder
    for split, listed in (("train", published.train_list), ("test", published.test_list)):
        assert [list(pair) for pair in cifar.archive.files[split]] == listed


def test_cifar_is_downloaded_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(url: str, root: str, **kwargs: Any) -> None:
        asked.append(url)
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", fetch)
    with pytest.raises(TaskError, match="holds no folder"):
        Cifar10(root=str(tmp_path))
    assert not asked
    with pytest.raises(TaskError, match=r"try again \(no network\)"):
        Cifar10(root=str(tmp_path), download=True)
    assert asked == [torchvision.datasets.CIFAR10.url]


def test_the_photographs_are_there_without_any_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIFD_BENCH_DATA", raising=False)
    check_images(Photos())


# Real data, where there is some.


def check_images(dataset: Dataset, stride: int = 1) -> None:
    assert len(dataset) == len(dataset.labels) >= 8
    assert len(set(dataset.class_names)) == len(dataset.class_names)
    for index in range(0, len(dataset), stride):
        image, label = dataset[index]
        assert image.shape == (3, dataset.image_size, dataset.image_size)
        assert image.dtype == torch.float32
        assert 0 <= float(image.min()) < float(image.max()) <= 1
        assert 0 <= label < len(dataset.class_names)


@pytest.mark.parametrize("split", ["train", "test"])
def test_real_cifar10_is_in_color_and_its_mean_is_the_one_declared(split: Any) -> None:
    need(f"cifar10/{split}")
    dataset = Cifar10(split)
    check_images(dataset, stride=101)
    images = torch.stack([dataset.image(i) for i in range(0, len(dataset), max(1, len(dataset) // 1000))])
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.tensor(dataset.mean), atol=0.02, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3)), torch.tensor(dataset.std), atol=0.02, rtol=0)
    assert set(dataset.labels) == set(range(10))


def test_real_imagenet_samples_are_in_color_and_labeled_by_their_folder() -> None:
    need("imagenet-samples")
    dataset = ImageNet()
    check_images(dataset)
    names = [dataset.class_names[label] for label in dataset.labels]
    assert names == [path.parent.name for path in dataset.paths]
    assert dataset.class_names[1] == "n01443537"


@pytest.mark.parametrize("domain", ["art_painting", "cartoon", "photo", "sketch"])
def test_real_pacs_is_in_color_unless_sketched(domain: Any) -> None:
    need(f"pacs/{domain}")
    dataset = PACS(domain)
    check_images(dataset, stride=7)
    images = torch.stack([dataset.image(i) for i in range(0, len(dataset), 7)])
    colorful = float((images[:, 0] - images[:, 2]).abs().mean())
    assert colorful < 0.01 if domain == "sketch" else colorful > 0.05


def test_real_imagenet_can_be_read_as_a_folder_of_ones_own_too() -> None:
    folder = need("imagenet-samples")
    mine = ImageFolder(str(folder), size=64)
    theirs = ImageNet()
    assert torch.equal(mine.image(5), theirs.image(5))
    assert mine.class_names == tuple(sorted(path.name for path in folder.iterdir()))
