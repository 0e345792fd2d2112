"""What is installed: one import name, which gets along with whatever names a user's own project has."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("api", "benchmark", "common", "configs", "leaderboard", "priors", "tasks")
# The demo, as small as it can be.
DEMO = [
    "run",
    "demo",
    "--output=out",
    "--targets=1",
    "--attacks.ig.iterations=2",
    "--attacks.latent.iterations=2",
    "--attacks.gifd.iterations=1",
    "--defenses.noise.std=0.1",
]


def test_every_package_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    folders = {
        file.parent.relative_to(ROOT).parts
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("__init__.py")
        if "entries" not in file.parts
    }
    assert listed == {"gifd_bench", *(".".join(["gifd_bench", *parts]) for parts in folders - {("api",)})}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, in which nothing was built before."""
    sources, built = tmp_path_factory.mktemp("sources") / "copy", tmp_path_factory.mktemp("wheel")
    sources.mkdir()
    for name in (*FOLDERS, "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, sources / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(built)]
    done = subprocess.run([*command, str(sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = built.glob("*.whl")
    return file


def test_the_wheel_holds_one_import_name_and_all_of_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {re.sub(r"-[\d.]+\.dist-info", ".dist-info", name.split("/")[0]) for name in names} == {
        "gifd_bench",
        "gifd_bench.dist-info",
    }
    modules = {
        str(file.relative_to(ROOT)).removeprefix("api/")
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        if "entries" not in file.parts
    }
    data = {"py.typed", "configs/demo.yaml", "priors/weights/cifar10.safetensors"}
    assert {f"gifd_bench/{name}" for name in modules | data} <= set(names)
    assert not [name for name in names if "/entries/" in name], "accepted entries stay in the repository"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's own project, with the names that this one's folders have."""
    for name in ("tasks", "benchmark", "priors", "leaderboard"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is the user\\'s own')\n")
    for name in ("tasks", "configs", "common", "api"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("raise ImportError('this is the user\\'s own')\n")
    return tmp_path


@pytest.mark.parametrize("install", ["editable", "wheel"])
def test_a_project_with_names_like_ours_runs_the_demo(
    install: str, project: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    if install == "wheel":
        place = tmp_path_factory.mktemp("site")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(place)]
        subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
        environment["PYTHONPATH"] = str(place)
        where = subprocess.run(
            [sys.executable, "-c", "import gifd_bench; print(gifd_bench.__file__)"],
            cwd=project, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert Path(where.stdout.strip()).is_relative_to(place)
    ran = subprocess.run(
        [sys.executable, "-m", "gifd_bench", *DEMO],
        cwd=project, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (project / "out" / "report.html").is_file()
