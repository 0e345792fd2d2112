"""README and docs, followed from top to bottom in a clean folder: every command and every block runs."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from gifd_bench.benchmark.cli import COMMANDS, added_commands
from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.commands.run import parser as run_parser
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.common.errors import UserError
from gifd_bench.priors.training.train import TrainingConfig
from gifd_bench.tasks.datasets.cifar import CIFAR10_CLASSES
from tests.benchmark.helpers import TINY
from tests.docs.budgets import ADDITIONS, EXEMPT, SMALLER
from tests.docs.pages import PAGES, ROOT, blocks_of, inline_commands, inline_entries

AUDITING = ROOT / "docs" / "auditing.md"
AXES = ("tasks", "defenses", "priors", "attacks", "metrics")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder: a few small images a class, for training and for tests."""
    folder = tmp_path_factory.mktemp("images")
    for number, name in enumerate(CIFAR10_CLASSES):
        for split in ("train", "test"):
            place = folder / "cifar10" / split / name
            place.mkdir(parents=True)
            for copy in range(2):
                color = (25 * number, 120 * copy, 200 if split == "test" else 40)
                Image.new("RGB", (32, 32), color).save(place / f"{copy}.png")
    return folder


@pytest.fixture
def newcomer(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, a cache and a home of its own, and the data folder."""
    folder = tmp_path / "newcomer"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GIFD_BENCH_CACHE", raising=False)
    monkeypatch.setenv("GIFD_BENCH_DATA", str(images))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if not name.startswith(("gifd_bench.", "tests.")):
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).is_relative_to(tmp_path):
                del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != AUDITING], ids=lambda page: page.stem)
def test_a_newcomer_can_follow_the_page(page: Path, newcomer: Path, images: Path) -> None:
    follow(page, images / "cifar10")


@pytest.mark.slow
def test_ones_own_system_is_audited_from_a_project_with_names_like_ours(
    newcomer: Path, images: Path
) -> None:
    for name in ("tasks", "benchmark", "priors", "leaderboard"):
        Path(f"{name}.py").write_text("raise ImportError('this is the user\\'s own')\n")
    for name in ("tasks", "configs", "common", "api"):
        Path(name).mkdir()
        Path(name, "demo.yaml").touch()
    follow(AUDITING, images / "cifar10", in_process=False)
    assert Path("out", "reconstruction.png").is_file()
    assert Path("out", "result.json").is_file()


def test_a_command_that_no_rule_covers_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no rule covers"):
        small_words("gifd-bench frobnicate demo", Path())
    with pytest.raises(AssertionError, match="no rule covers"):
        run_line("pip install gifd-bench", Path(), in_process=True)


def test_no_rule_is_left_over() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page.read_text(encoding="utf-8"))]
    shell = [block for block in blocks if block.language == "shell"]
    lines = [without_comment(line) for block in shell for _, line in block.commands()]
    assert set(lines) >= EXEMPT.keys()
    assert not [pattern for pattern in ADDITIONS if not any(re.search(pattern, line) for line in lines)]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {line.removeprefix("make ") for line in EXEMPT} <= set(targets)


def follow(page: Path, images: Path, in_process: bool = True) -> None:
    """Do what a page says, in the working directory.

    Args:
        page: a Markdown file.
        images: folder with images to train on, in train/ and test/, for whatever name the page gives it.
        in_process: run commands in this process, which is faster by the imports of each.
    """
    text, program = page.read_text(encoding="utf-8"), ""
    for block in blocks_of(text):
        place = f"{page.name}:{block.line}"
        if block.language == "shell":
            for line, command in block.commands():
                try:
                    run_line(command, images, in_process)
                except AssertionError as error:
                    raise AssertionError(f"{page.name}:{line}: {command}: {error}") from error
        elif block.saved_as is not None:
            Path(block.saved_as).write_text(with_folders(smaller(block.text), images), encoding="utf-8")
        elif block.language == "python":
            # A block that imports nothing goes on from those before it.
            starts_anew = re.search(r"^(import|from) ", block.text, re.MULTILINE) is not None
            program = block.text if starts_anew else f"{program}\n{block.text}"
            run_script(f"page_{block.line}.py", program, place)
        elif block.language == "yaml":
            read_matrix(block.text, place)
        else:
            assert block.language == "ini", f"{place}: no rule covers a block of '{block.language}'"
    for command in inline_commands(text):
        check_mention(command)
    for entry in inline_entries(text):
        read_matrix(entry, f"{page.name}: {entry}")


def run_line(line: str, images: Path, in_process: bool) -> None:
    """Run a line of a shell block, with what keeps it small."""
    line = without_comment(line)
    if line in EXEMPT:
        return
    assert line.startswith("gifd-bench "), "no rule covers this command"
    line, _, target = line.partition(" > ")
    words = small_words(line, images)
    if words[0] == "run":
        # The line itself, before it is made smaller.
        options, overrides = run_parser().parse_known_args(shlex.split(line)[2:])
        load_matrix(options.config, overrides)
    with ExitStack() as stack:
        if target:
            file = stack.enter_context(Path(target).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(file))
        if in_process:
            status, errors = cli(words), ""
        else:
            command = [sys.executable, "-m", "gifd_bench", *words]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            sys.stdout.write(done.stdout)
            status, errors = done.returncode, done.stderr
    assert status == 0, f"ended with status {status} {errors}"


def without_comment(line: str) -> str:
    """A command without the remark after it."""
    return re.sub(r"\s+# .*", "", line)


def small_words(line: str, images: Path) -> list[str]:
    """The words of a command after `gifd-bench`, with real folders for names in capitals, and small."""
    given = line.removeprefix("gifd-bench ")
    rules = [more for pattern, more in ADDITIONS.items() if re.search(pattern, given)]
    assert rules, "no rule covers this command"
    return [*shlex.split(with_folders(given, images)), *(word for more in rules for word in more)]


def with_folders(text: str, images: Path) -> str:
    """Text with real folders for the names in capitals that a page has for them."""
    return re.sub(r"\bMY_IMAGES\b", str(images / "test"), re.sub(r"\bFOLDER\b", str(images), text))


def smaller(code: str) -> str:
    """Code with fewer iterations."""
    for asked, given in SMALLER.items():
        code = code.replace(asked, given)
    return code


def run_script(name: str, code: str, place: str) -> None:
    """Run Python code as a script of its own."""
    script = Path(name)
    script.write_text(smaller(code), encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{place}: {done.stderr}"


def read_matrix(text: str, place: str) -> None:
    """Read a matrix, or the part of one that a page shows; what it does not say is a tiny matrix's."""
    content = yaml.safe_load(text)
    if not content.keys() & set(AXES):
        # What trains a prior is a file of its own kind.
        config_of_prior(content)
        return
    path = Path("matrix.yaml")
    path.write_text(yaml.safe_dump({**TINY, **content}, sort_keys=False), encoding="utf-8")
    try:
        matrix = load_matrix(str(path))
    except UserError as error:
        raise AssertionError(f"{place}: {error}") from error
    assert list(matrix.cells())


def config_of_prior(content: dict[str, Any]) -> None:
    """Read the configuration of a prior's training, without the dataset that would be downloaded."""
    assert {"name", "dataset"} <= content.keys()
    known = {field.name for field in fields(TrainingConfig)}
    assert content.keys() <= known
    for key in ("dataset", "held_back_dataset"):
        module, _, name = content[key]["class_path"].rpartition(".")
        inspect.signature(getattr(import_module(module), name)).bind(**content[key]["init_args"])


def check_mention(command: str) -> None:
    """Whether a command in the text is one: its name is known, and its matrix can be read."""
    words = shlex.split(command)[1:]
    if words[0].isupper():
        return
    assert words[0] in {*COMMANDS, *added_commands()}, command
    if words[0] == "run" and len(words) > 1:
        options, overrides = run_parser().parse_known_args(words[1:])
        load_matrix(options.config, overrides)
