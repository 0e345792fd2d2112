"""Without its extras, the package works; a command that needs one says which."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gifd_bench.common.extras import EXTRAS

ROOT = Path(__file__).parents[1]
# Command lines that need an extra, and what each of them says.
LINES: dict[str, dict[tuple[str, ...], str]] = {
    "accounting": {
        ("utility", "demo", "--defenses+=dp_sgd"): "the epsilon of dp_sgd needs Opacus",
        ("tradeoff", "demo", "--output=out", "--defenses+=dp_sgd"): "the epsilon of dp_sgd needs Opacus",
    },
    "slurm": {
        ("run", "demo", "--output=out", "--launcher=slurm"): "--launcher slurm needs submitit",
    },
    "tensorboard": {
        (
            "run",
            "demo",
            "--output=tracked",
            "--tracker=tensorboard",
        ): "--tracker tensorboard needs TensorBoard",
    },
    "tune": {("tune", "demo", "--output=out"): "tune needs Optuna"},
    "wandb-reports": {("wandb-report", "out"): "wandb-report needs wandb-workspaces"},
}
SCRIPT = """
import sys
from importlib import import_module

sys.modules.update(dict.fromkeys({modules!r}))

from gifd_bench.benchmark.cli import COMMANDS, module_of, run

for command in COMMANDS:
    import_module(module_of(command)).parser()
for line in {lines!r}:
    assert run(line) == 2, line
"""


@pytest.fixture(scope="module")
def declared() -> dict[str, str]:
    """The requirements of each extra, as setup.cfg has them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return dict(setup["options.extras_require"])


@pytest.mark.slow
def test_commands_name_the_extra_that_is_missing(tmp_path: Path) -> None:
    lines = [list(line) for of_extra in LINES.values() for line in of_extra]
    script = SCRIPT.format(modules=[extra.module for extra in EXTRAS], lines=lines)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"gifd-bench: {said}: pip install 'gifd-bench[{extra}]'"
        for extra, of_extra in LINES.items()
        for said in of_extra.values()
    ]
    assert not (tmp_path / "out").exists(), "a run begins although its launcher is missing"


def test_extras_and_what_is_always_installed(declared: dict[str, str]) -> None:
    assert set(LINES) == {extra.name for extra in EXTRAS}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    always = {re.split(r"[\[><=;]", line)[0] for line in setup["options"]["install_requires"].split("\n")}
    for extra in EXTRAS:
        library = extra.library.lower()
        assert library in declared[extra.name]
        assert library not in always
        assert extra.name in re.findall(r"[\w-]+", declared["all"])
    assert "gifd-bench[all]" in declared["test"]
