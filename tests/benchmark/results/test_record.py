"""The one class that reads and writes `result.json`: whatever lies there is a record or one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gifd_bench.benchmark.results.checksums import SEAL
from gifd_bench.benchmark.results.record import CellRecord, Circumstances, Machine, StageRecord
from gifd_bench.common.errors import FileError

RECORD = CellRecord(
    status="done",
    circumstances=Circumstances({"python": "3.11"}, "abc+", Machine("node", "x86_64", "cpu", 1)),
    reason="lpips_alex: no backbone",
    seconds=1.5,
    matching_loss=0.25,
    gradient_evaluations=10,
    per_image={"psnr": (20.0, 30.0), "lpips_alex": None},
    assignment=(1, 0),
    stages=(StageRecord("pixels", 0.25, 10, 25.0),),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    RECORD.write(tmp_path / "result.json")
    assert CellRecord.read(tmp_path / "result.json") == RECORD
    assert RECORD.mean("psnr") == 25.0
    assert RECORD.mean("lpips_alex") is None
    assert RECORD.images == 2


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside of a JSON value."""
    found = [path]
    items = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_in_any_place_is_a_record_or_one_line(data: st.DataObject, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    RECORD.write(file)
    content = json.loads(file.read_text())
    # As older versions wrote it: with a checksum, no field would be looked at.
    del content[SEAL]
    path, odd = data.draw(st.sampled_from(places(content))), data.draw(JSON)
    if path:
        *outer, last = path
        inside = content
        for key in outer:
            inside = inside[key]
        inside[last] = odd
    else:
        content = odd
    file.write_text(json.dumps(content))
    said = str(file)
    try:
        CellRecord.read(file, sealed=False)
    except FileError as error:
        said = str(error)
    assert str(file) in said
    assert "\n" not in said


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "NaN", "[" * 100_000, '{"status": "done"}', "\0"])
def test_what_is_no_record_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text(text)
    with pytest.raises(FileError) as error:
        CellRecord.read(file, sealed=False)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)
