"""What the sandbox shows of a machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gifd_bench.leaderboard.rerun import visible
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.leaderboard.rerun.visible import View, python_view
from gifd_bench.leaderboard.rerun.weights import move_weights

PLACE = Path("/sandbox/packages")


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment inside of a repository, of a Python that has packages of its own."""
    base, venv = tmp_path / "python", tmp_path / "repository" / "venv"
    make(base / "bin" / "python3.11")
    make(base / "lib" / "python3.11" / "site-packages" / "skimage" / "data" / "astronaut.png")
    site = venv / "lib" / "python3.11" / "site-packages"
    make(site / "skimage" / "data" / "astronaut.png")
    make(site / "sklearn" / "datasets" / "images" / "china.jpg")
    make(site / "gifd_bench" / "leaderboard" / "entries" / "other.yaml")
    make(site / "data" / "private.png")
    make(venv / "pyvenv.cfg")
    make(tmp_path / "repository" / "truth.safetensors")
    (venv / "lib64").symlink_to("lib")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to("python3")
    (venv / "bin" / "python3").symlink_to(base / "bin" / "python3.11")
    monkeypatch.setattr(visible, "SYSTEM", ())
    monkeypatch.setattr(sys, "prefix", str(venv))
    monkeypatch.setattr(sys, "base_prefix", str(base))
    monkeypatch.setattr(sys, "executable", str(venv / "bin" / "python"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
    monkeypatch.setenv("GIFD_BENCH_DATA", str(site / "data"))
    return tmp_path


def test_of_a_virtual_environment_only_python_and_its_packages_are_shown(machine: Path) -> None:
    base, venv = machine / "python", machine / "repository" / "venv"
    view = python_view(PLACE)
    shown = {path for path in view.files if not path.is_relative_to(PLACE)}
    assert shown == {base / "bin" / "python3.11", base / "lib", venv / "lib", venv / "pyvenv.cfg"}
    assert view.links == {
        venv / "bin" / "python": "python3",
        venv / "bin" / "python3": str(base / "bin" / "python3.11"),
        venv / "lib64": "lib",
    }


def test_photographs_other_submissions_data_and_packages_of_another_python_are_shown_empty(
    machine: Path,
) -> None:
    site = machine / "repository" / "venv" / "lib" / "python3.11" / "site-packages"
    hidden = ["skimage/data", "sklearn/datasets/images", "gifd_bench", "data"]
    assert set(python_view(PLACE).empty) == {
        machine / "python" / "lib" / "python3.11" / "site-packages",
        *(site / name for name in hidden),
    }


def test_packages_are_shown_one_by_one_and_the_leaderboard_is_not_among_them() -> None:
    shown = {path: file for path, file in python_view(PLACE).files.items() if path.is_relative_to(PLACE)}
    rooms = {"benchmark", "common", "configs", "priors", "tasks"}
    place = PLACE / "gifd_bench"
    assert set(shown) == {place / "__init__.py", *(place / room for room in rooms)}
    assert all((shown[place / room] / "__init__.py").is_file() for room in rooms)
    # An editable install links to these files: in the sandbox a link would lead nowhere.
    assert not any(file.is_symlink() for file in shown.values())


def test_an_outer_folder_comes_before_what_lies_in_it_and_what_is_hidden_comes_last() -> None:
    inner, outer = Path("/a/b/c"), Path("/a")
    view = View({Path("/l"): "a"}, {inner: inner, outer: outer}, (Path("/a/b/c/d"), Path("/a/x")))
    words = view.arguments()
    assert words[:6] == ["--ro-bind", "/a", "/a", "--ro-bind", "/a/b/c", "/a/b/c"]
    assert words[6:9] == ["--symlink", "a", "/l"]
    assert words[9:] == [
        "--tmpfs",
        "/a/x",
        "--remount-ro",
        "/a/x",
        "--tmpfs",
        "/a/b/c/d",
        "--remount-ro",
        "/a/b/c/d",
    ]


def test_of_a_folder_of_weights_only_weights_are_shown(tmp_path: Path) -> None:
    for name in ("config.json", "pytorch_model.bin", "private.png"):
        make(tmp_path / "biggan" / name)
    config = {
        "use": "biggan",
        "label": "b",
        "options": {"weights": str(tmp_path / "biggan"), "truncation": 0.5},
    }
    moved, files = move_weights(config, Path("/w"))
    place = Path("/w/weights/biggan")
    assert moved["options"] == {"weights": str(place), "truncation": 0.5}
    assert files == {
        place / name: tmp_path / "biggan" / name for name in ("config.json", "pytorch_model.bin")
    }


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"use": "generator_file", "label": "x", "options": {"weights": "nowhere.safetensors"}},
            "not there",
        ),
        ({"use": "generator_file", "label": "x", "options": {"color": 1}}, "configuration is wrong"),
        ({"use": "no_such", "label": "x", "options": {}}, "no prior 'no_such'"),
        ({"label": "x"}, "configuration is wrong"),
    ],
)
def test_a_prior_that_cannot_be_made_is_one_error(config: dict[str, object], reason: str) -> None:
    with pytest.raises(RerunFailed, match=reason):
        move_weights(config, Path("/w"))
