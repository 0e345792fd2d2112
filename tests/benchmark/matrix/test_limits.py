"""Numbers and files out of all proportion: one clear line, before anything is built."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.matrix.config import load_matrix
from gifd_bench.common.yaml_text import parse_yaml
from tests.benchmark.helpers import TINY

SECONDS = 2.0


def text(**changes: Any) -> str:
    return yaml.safe_dump({**TINY, **changes}, sort_keys=False)


def task(**changes: Any) -> dict[str, Any]:
    return {"tasks": {"photos": {**TINY["tasks"]["photos"], **changes}}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text(targets=10**9), "targets: 100,000 at most, not 1,000,000,000"),
        (text(seeds=10**12), "seeds: 100,000 at most"),
        (text(targets=99_999, seeds=99_999), "a matrix has 1,000,000 at most"),
        (text() + "seeds: 1e400\n", "seeds"),
        (text(targets=[2**70]), "targets: a number from -1e+12 to 1e+12 is expected"),
        (text(attacks={"ig": {"iterations": 10**21}}), "attacks.ig.iterations: a number from"),
        (text(attacks={"ig": {"restarts": 10**9}}), "restarts must be 10,000 at most"),
        (text(**task(client={"local": {"epochs": 10**12}})), "client.local.epochs must be 1,000 at most"),
        (text(**task(client={"clients": 10**12})), "client.clients must be 1 to 10,000"),
        (text(**task(batch_size=10**12)), "batch_size x clients must be between 1 and 64"),
        (text(**task(dataset={"use": "photos", "size": "1e400"})), "tasks.photos.dataset.size"),
        (text() + "targets: [1]\n", "the key 'targets' is there twice"),
        (text().replace("  noise:", "  none:"), "the key 'none' is there twice"),
        ("a: " + "[" * 20_000, "nested more than 40 deep"),
        ("a: " + "{a: " * 3000 + "1" + "}" * 3000, "nested more than 40 deep"),
        ("a: &x [*x]", "nested more than 40 deep"),
        ("x: " + "a" * (2 << 20), "more than 1,048,576 characters"),
        (
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 12)),
            "more than 100,000 values",
        ),
    ],
)
def test_each_is_one_line_within_two_seconds(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(content)
    load_matrix("demo")  # So that imports are not counted.
    began = time.process_time()
    assert cli(["run", str(file), "--output", str(tmp_path / "out")]) == 2
    assert time.process_time() - began < SECONDS
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_key_that_a_merge_sets_anew_is_no_repetition() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")["b"] == {"x": 3, "y": 2}
    assert parse_yaml("") is None


def test_deep_values_on_the_command_line_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(text())
    assert cli(["plan", str(file), "--targets=" + "[" * 20_000]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) < 1000
