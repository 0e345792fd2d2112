"""What is installed: one import name, which gets along with whatever names a user's own project has."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = (
    "setup.cfg",
    "pyproject.toml",
    "MANIFEST.in",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
)
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
    return wheel_of(copy_of_the_sources(tmp_path_factory), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from such a copy."""
    built = tmp_path_factory.mktemp("sdist")
    script = f"from setuptools.build_meta import build_sdist; build_sdist({str(built)!r})"
    output_of([sys.executable, "-c", script], copy_of_the_sources(tmp_path_factory))
    (file,) = built.glob("*.tar.gz")
    return file


def copy_of_the_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = tmp_path_factory.mktemp("sources") / "copy"
    sources.mkdir()
    for name in (*FOLDERS, *FILES):
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, sources / name)
    return sources


def wheel_of(sources: Path, built: Path) -> Path:
    """The wheel of a folder of sources, or of a source distribution."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(built)]
    output_of([*command, str(sources)], built)
    (file,) = built.glob("*.whl")
    return file


def output_of(command: list[str], folder: Path) -> str:
    """What a command prints. Nothing is found but what is installed, since PYTHONPATH is empty."""
    done = subprocess.run(
        command,
        cwd=folder, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_source_distribution_holds_what_the_wheel_needs(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        places = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    assert {*FILES, *(f"{folder}/__init__.py" for folder in FOLDERS)} <= set(places)
    assert not [place for place in places if place.startswith("tests/") or "/entries/" in place]
    with zipfile.ZipFile(wheel) as direct, zipfile.ZipFile(wheel_of(sdist, tmp_path)) as built:
        assert {i.filename: i.CRC for i in direct.infolist() if "dist-info" not in i.filename} == {
            i.filename: i.CRC for i in built.infolist() if "dist-info" not in i.filename
        }


@pytest.mark.slow
def test_the_wheel_of_the_source_distribution_works_in_an_environment_of_its_own(
    sdist: Path, tmp_path: Path
) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    wheel = wheel_of(sdist, tmp_path)
    output_of([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", str(wheel)], tmp_path)
    purelib = Path(
        output_of(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], tmp_path
        ).strip()
    )
    # The dependencies are those of this environment, behind what is installed in the new one. Its own .pth
    # files are not read there, so no editable install of this project comes along.
    (purelib / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    where = output_of([python, "-c", "import gifd_bench; print(gifd_bench.__file__)"], tmp_path)
    assert Path(where.strip()).is_relative_to(purelib)
    command = str(place / "bin" / "gifd-bench")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert output_of([command, "--version"], tmp_path).strip() == setup["metadata"]["version"]
    listed = output_of([command, "list"], tmp_path)
    assert {"gifd", "photos", "demo"} <= set(listed.split())
    output_of([command, *DEMO], tmp_path)
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's own project, with the names that this one's folders have."""
    for name in ("tasks", "benchmark", "priors", "leaderboard"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('this is the user\\'s own')\n")
    for name in ("tasks", "configs", "common", "api"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("raise ImportError('this is the user\\'s own')\n")
    return tmp_path


@pytest.mark.slow
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
