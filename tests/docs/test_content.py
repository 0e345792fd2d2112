"""What the pages promise beside their commands: tables that are complete, and examples that are short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.common.registry import Registry
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.registry import DATASETS
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.models.registry import MODELS
from tests.docs.pages import PAGES, ROOT, blocks_of

LINES = 50
DOCS = ROOT / "docs"


@pytest.mark.parametrize(
    ("registry", "page"),
    [
        (ATTACKS, DOCS / "attacks.md"),
        (PRIORS, DOCS / "priors.md"),
        (DATASETS, DOCS / "victims.md"),
        (MODELS, DOCS / "victims.md"),
        (DEFENSES, DOCS / "victims.md"),
    ],
    ids=lambda value: value.noun if isinstance(value, Registry) else value.stem,
)
def test_everything_bundled_is_on_its_page(registry: Registry[object], page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in registry.bundled:
        assert name == "none" or f"`{name}`" in text or name in ("timm", "torchvision"), name


@pytest.mark.parametrize("page", [*PAGES], ids=lambda page: page.stem)
def test_an_example_is_short(page: Path) -> None:
    for block in blocks_of(page.read_text(encoding="utf-8")):
        assert len(block.text.splitlines()) <= LINES, f"{page.name}:{block.line}"


@pytest.mark.parametrize("page", [*PAGES, DOCS / "submitting.md"], ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_map_of_contributing_leads_to_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [path for path in re.findall(r"`([\w./]+/[\w./]*)`", text) if "NAME" not in path]
    assert len(named) > 20
    for path in named:
        assert (ROOT / path).exists(), path
