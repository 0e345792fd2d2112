"""The public names: each there, documented, and imported only when it is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gifd_bench as gb

HEAVY = ("torch", "torchvision", "pytorch_lightning", "wandb", "timm", "lpips", "torchmetrics")


@pytest.mark.parametrize("name", gb.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    public = getattr(gb, name)
    if isinstance(public, int):
        return  # A constant, which is documented where it is used.
    text = inspect.getdoc(public) or ""
    assert text.strip(), name
    if inspect.isfunction(public):
        parameters = [p for p in inspect.signature(public).parameters if p != "self"]
        assert all(f"{parameter}:" in text for parameter in parameters), f"{name} documents every argument"


def test_type_checkers_see_the_same_names() -> None:
    (checked,) = (
        node for node in ast.parse(Path(gb.__file__).read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    )  # fmt: skip
    seen = {
        (alias.asname, (node.module or "").removeprefix("gifd_bench."))
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(gb._MODULES.items())


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'inverse'"):
        _ = gb.inverse  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, gifd_bench; dir(gifd_bench); print([m for m in {HEAVY} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
