"""Ways to spoil a submission, by name; each draws what it does from hypothesis."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import struct
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st
from safetensors.numpy import save

T = TypeVar("T")
TERABYTE = 1 << 40


class Draw(Protocol):
    """`st.DataObject.draw`."""

    def __call__(self, strategy: st.SearchStrategy[T]) -> T: ...


@dataclass(frozen=True)
class Raw:
    """Text that takes the place of a value as it is, valid JSON or not."""

    text: str


@dataclass
class Case:
    """A submission that is about to be spoiled.

    Attributes:
        root: `submission` is made in it, `outside` and `canary` lie beside that.
        file, results: what the two files are to say, before anything is done to the files themselves.
        tensors: the files of the reconstructions, by observation.
    """

    root: Path
    file: dict[str, Any]
    results: dict[str, Any]
    tensors: dict[str, bytes]
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.root / "submission"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def canary(self) -> Path:
        return self.root / "canary"

    def write(self) -> None:
        (self.path / "reconstructions").mkdir(parents=True)
        for name, content in self.tensors.items():
            (self.path / "reconstructions" / f"{name}.safetensors").write_bytes(content)
        # JSON is YAML, and can say all characters.
        (self.path / "submission.yaml").write_text(as_json(self.file))
        (self.path / "results.json").write_text(as_json({"results": self.results}))

    def put(self, name: str, content: bytes) -> None:
        """Another file of a reconstruction, of which the results speak rightly."""
        self.tensors[name] = content
        result = self.results.get(name)
        if isinstance(result, dict):
            result["sha256"] = hashlib.sha256(content).hexdigest()


def as_json(value: Any) -> str:
    raws: list[str] = []

    def keep(raw: Any) -> str:
        raws.append(raw.text)
        return f"@raw {len(raws) - 1}@"

    text = json.dumps(value, default=keep)
    for number, raw in enumerate(raws):
        text = text.replace(f'"@raw {number}@"', raw)
    return text


# What is put into fields.

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- ${{ secrets.TOKEN }} {{ 7*7 }} {% include 'x' %}",
    "[x](javascript:alert(1)) | ``` # heading",
    "'; DROP TABLE entries; --",
    "$(touch canary) `touch canary`; %s%n",
    "=cmd|' /C calc'!A0",
    "Ä. Müller 王小明",
)
NAMES = (
    "../../../outside/new",
    "/outside/new",
    "..",
    ".",
    "",
    "-rf",
    "a/b",
    "a\\b",
    "nul\0byte",
    "x" * 300,
    "CON",
    ".hidden",
    "~root",
    "٣٣٣",
    "000\n",
)
HIDDEN = (
    "\x1b[2J\x1b[31mverified",
    "two\nlines",
    "txt.\u202egnp",
    "sep\u2028arated",
    "zero\u200bwidth",
    "\x00",
    "\x85",
    "\ud800",
    "\udcff\udc80",
    "\U000e0041",
    "\ufffe",
    " spaces ",
    "x" * 3000,
)
NUMBERS = (
    Raw("NaN"),
    Raw("Infinity"),
    Raw("-Infinity"),
    Raw("1e400"),
    Raw(".nan"),
    Raw("-.inf"),
    Raw("9" * 5000),
    Raw("-" + "9" * 4000),
    Raw("1e-400"),
    Raw("0x" + "f" * 200),
    Raw("1:30:00"),
    Raw("1.10"),
    -1,
    0,
    1 << 63,
    1 << 70,
    1e308,
    True,
)
SHAPES: tuple[Raw | list[Any] | dict[str, Any] | None, ...] = (
    None,
    [],
    {},
    [[]],
    {"": None},
    {"__proto__": {"a": 1}},
    Raw("[" * 100_000),
    Raw('{"a":' * 900 + "1" + "}" * 900),
    Raw("[" * 200 + "]" * 200),
    Raw('{"psnr": 1, "psnr": 2}'),
    Raw("[" + "0," * 100_000 + "0]"),
    Raw("{" + ",".join(f'"{n:x}": 0' for n in range(100_000)) + "}"),
)


def yaml_tricks(canary: Path) -> list[Raw]:
    """What a careless reader of YAML would run, or choke on."""
    aliases = ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))
    return [
        Raw(f'!!python/object/apply:os.system ["touch {canary}"]'),
        Raw(f'!!python/object/new:subprocess.Popen [["touch", "{canary}"]]'),
        Raw("!!python/name:os.system"),
        Raw("!<tag:yaml.org,2002:python/module:os> x"),
        Raw("!!binary aGVsbG8="),
        Raw("!!set {a, b}"),
        Raw("! plain"),
        Raw(f"[&a0 [x], {aliases}]"),
        Raw("&a [*a]"),
        Raw("*nothing"),
        Raw("{<<: {a: 1}, ? [x, y] : z}"),
        Raw("2026-01-31"),
        Raw("=: 1"),
        Raw("\t@x"),
        Raw("1" + ":1" * 50_000),
        Raw('"\\ud800\\x1b[31m\\U0010ffff"'),
        Raw("x} --- {"),
        Raw("y} \n...\n--- {a: b"),
    ]


TEXTS = st.sampled_from(MARKUP + NAMES + HIDDEN) | st.text(max_size=40)
VALUES = TEXTS | st.sampled_from(NUMBERS + SHAPES) | st.integers() | st.floats()

ABOUT_TEXTS = ("description", "licence", "threat_model", "hardware")
FILE_PLACES: tuple[tuple[Any, ...], ...] = (
    ("format",),
    ("protocol",),
    ("about",),
    *(
        ("about", key)
        for key in ("attack", "version", "date", "authors", "paper", "code", "prior", *ABOUT_TEXTS)
    ),
    ("about", "authors", 0),
    ("about", "prior", "name"),
    ("about", "prior", "training_data"),
    ("rerun",),
    ("rerun", "attack"),
    ("rerun", "attack", "use"),
    ("rerun", "attack", "label"),
    ("rerun", "attack", "options"),
    ("rerun", "attack", "options", "iterations"),
    ("rerun", "prior"),
)
RESULT_PLACES: tuple[tuple[Any, ...], ...] = (
    ("000",),
    *(
        ("000", key)
        for key in (
            "sha256",
            "observation",
            "fingerprint",
            "gradient_evaluations",
            "matching_loss",
            "seconds",
            "seed",
            "metrics",
        )
    ),
    ("000", "fingerprint", 3),
    ("000", "metrics", "psnr"),
)


def _set(content: Any, place: tuple[Any, ...], value: Any) -> None:
    *outer, last = place
    for key in outer:
        inner = content.get(key) if isinstance(content, dict) else None
        if not isinstance(inner, (dict, list)):
            return
        content = inner
    if isinstance(content, dict) or (isinstance(content, list) and last in range(len(content))):
        content[last] = value


def _inner(content: Any, draw: Draw) -> dict[str, Any]:
    """Some mapping in a mapping."""
    while True:
        deeper = [value for value in content.values() if isinstance(value, dict) and value]
        if not deeper or draw(st.booleans()):
            return content
        content = draw(st.sampled_from(deeper))


def about_text(case: Case, draw: Draw) -> None:
    """A text for people, in a field that may hold any."""
    key, text = draw(st.sampled_from(ABOUT_TEXTS)), draw(st.sampled_from(MARKUP))
    case.file["about"][key] = text
    case.texts[key] = text


def about_address(case: Case, draw: Draw) -> None:
    addresses = (
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "file:///etc/passwd",
        "//example.org",
        "https://",
        'https://example.org/" onmouseover="alert(1)',
        "https://example.org/<script>",
        "https://example.org/\u202e",
        "ftp://example.org",
        "https:// example.org",
        "https://example.org\n",
    )
    case.file["about"][draw(st.sampled_from(["paper", "code"]))] = draw(st.sampled_from(addresses))


def folder_name(case: Case, draw: Draw) -> None:
    """A bad text in a field that becomes part of a path."""
    key = draw(st.sampled_from(["attack", "version", "date"]))
    bad = ("٢٠٢٦-٠١-٣١", "2026-02-30", "１.０", "1.0\n", "Aa", "2026-01-31T00:00", "1..2", "a__b")
    case.file["about"][key] = draw(st.sampled_from(NAMES + HIDDEN + MARKUP + bad))


def protocol_name(case: Case, draw: Draw) -> None:
    case.file["protocol"] = draw(
        st.sampled_from((*NAMES, "photos-v1", "../photos-v1", "tiny-v01", "tiny-v1\n"))
    )


def file_field(case: Case, draw: Draw) -> None:
    place = draw(st.sampled_from(FILE_PLACES))
    _set(case.file, place, draw(VALUES))


def result_field(case: Case, draw: Draw) -> None:
    place = draw(st.sampled_from(RESULT_PLACES))
    _set(case.results, place, draw(VALUES))


def trick_in_yaml(case: Case, draw: Draw) -> None:
    trick = draw(st.sampled_from(yaml_tricks(case.canary)))
    _set(case.file, draw(st.sampled_from(FILE_PLACES)), trick)


def missing_key(case: Case, draw: Draw) -> None:
    content = _inner(draw(st.sampled_from([case.file, case.results])), draw)
    if content:
        del content[draw(st.sampled_from(sorted(content)))]


def unknown_key(case: Case, draw: Draw) -> None:
    content = _inner(draw(st.sampled_from([case.file, case.results])), draw)
    content[draw(TEXTS)] = draw(VALUES)


def repeated_key(case: Case, draw: Draw) -> None:
    """The same key twice: readers disagree on which is meant."""
    text = as_json(case.results["000"]) if isinstance(case.results.get("000"), dict) else "{}"
    case.results["000"] = Raw(text[:-1] + ', "gradient_evaluations": 1, "gradient_evaluations": 2}')


def result_name(case: Case, draw: Draw) -> None:
    """An observation of another name, with a reconstruction where there may be one."""
    name = draw(st.sampled_from((*NAMES, "00", "0000000", "999", "٠٠٠", "000.safetensors")))
    case.results[name] = deepcopy(case.results.get("001"))
    if name and "/" not in name and "\0" not in name and len(name) < 200:
        case.tensors[name] = case.tensors["001"]


def many_results(case: Case, draw: Draw) -> None:
    one = draw(st.sampled_from(["{}", "0", '{"sha256": ""}']))
    pairs = ",".join(f'"{number:06d}":{one}' for number in range(draw(st.sampled_from([10_001, 300_000]))))
    case.results["000"] = Raw(f"0, {pairs}")


# Reconstructions.


def _safetensors(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def _tensor_header(**tensors: Any) -> bytes:
    return as_json(tensors).encode()


LABELS = {"dtype": "I64", "shape": [1], "data_offsets": [768, 776]}


def tensor_shape(case: Case, draw: Draw) -> None:
    """A shape that is not that of the data, huge, negative or no shape."""
    big = [1 << 20, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, 1 << 70, -1, -(1 << 63), 0]
    sides = st.lists(st.sampled_from([1, 3, 8, *big]), max_size=6)
    shape: Any = draw(sides | st.sampled_from([None, "x", {}, [1.5], [None], [[1]], Raw("[1e400]")]))
    images = {"dtype": draw(st.sampled_from(DTYPES)), "shape": shape, "data_offsets": [0, 768]}
    case.put("000", _safetensors(_tensor_header(images=images, labels=LABELS), bytes(776)))


KNOWN_DTYPES = "F32 F16 BF16 F64 F8_E4M3 F8_E5M2 F8_E8M0 F4 F6_E2M3 U8 I8 U16 U64 I64 BOOL C64"
DTYPES = (*KNOWN_DTYPES.split(), "X", "\x1b[31m")


def tensor_type(case: Case, draw: Draw) -> None:
    """A type of a tensor whose size does fit, where there is one of that name."""
    dtype = draw(st.sampled_from(DTYPES))
    size = 192 * {"F32": 4, "F64": 8, "U64": 8, "I64": 8, "C64": 8, "U8": 1, "I8": 1, "BOOL": 1}.get(
        dtype, 2
    )
    if dtype.startswith("F8"):
        size = 192
    images = {"dtype": dtype, "shape": [1, 3, 8, 8], "data_offsets": [0, size]}
    labels = {**LABELS, "data_offsets": [size, size + 8]}
    fill = draw(st.sampled_from([b"\0", b"\xff", b"\x7f"]))
    case.put("000", _safetensors(_tensor_header(images=images, labels=labels), fill * size + bytes(8)))


def tensor_offsets(case: Case, draw: Draw) -> None:
    ends = st.sampled_from([0, 1, 767, 768, 776, 777, 1 << 40, 1 << 63, (1 << 64) - 1, -1])
    images = {"dtype": "F32", "shape": [1, 3, 8, 8], "data_offsets": [draw(ends), draw(ends)]}
    case.put("000", _safetensors(_tensor_header(images=images, labels=LABELS), bytes(776)))


def tensor_names(case: Case, draw: Draw) -> None:
    name = draw(st.sampled_from((*NAMES, *HIDDEN, "images\0", "__metadata__")))
    try:
        case.put("000", save({name: np.zeros(2, np.uint8), "labels": np.zeros(1, np.int64)}))
    except Exception:  # Not even the writer takes the name.
        case.put("000", _safetensors(_tensor_header(**{name: LABELS}), bytes(776)))


def header_length(case: Case, draw: Draw) -> None:
    length = draw(st.sampled_from([0, 1, 100_000_000, 100_000_001, 1 << 40, 1 << 63, (1 << 64) - 1]))
    header = _tensor_header(images={**LABELS, "shape": [96]}, labels=LABELS)
    case.put("000", _safetensors(header, bytes(776), length))


def header_text(case: Case, draw: Draw) -> None:
    texts = (
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"images": {}, "images": {}}',
        b'{"__metadata__": {"format": 1}}',
        b'{"\\u001b[31m": 0}',
        b'{"images": "\\ud800"}',
        b'{"a\nb": 1}',
    )
    case.put("000", _safetensors(draw(st.sampled_from(texts)), bytes(776)))


def tensor_values(case: Case, draw: Draw) -> None:
    dtype = draw(st.sampled_from([np.float16, np.float32, np.float64]))
    values = st.sampled_from([np.nan, np.inf, -np.inf, -0.001, 1.001, 255.0, -1.0, 3e38, 1e-45])
    images = np.full((1, 3, 8, 8), 0.5)
    images[0, 0, 0, draw(st.integers(0, 7))] = draw(values)
    with np.errstate(over="ignore"):
        case.put("000", save({"images": images.astype(dtype), "labels": np.zeros(1, np.int64)}))


def label_values(case: Case, draw: Draw) -> None:
    label = draw(st.sampled_from([-1, 10, -(1 << 63), (1 << 63) - 1]))
    case.put("000", save({"images": np.zeros((1, 3, 8, 8), np.uint8), "labels": np.array([label])}))


def cut_tensors(case: Case, draw: Draw) -> None:
    content = case.tensors["000"] or b"\0"
    case.put("000", content[: draw(st.integers(0, len(content) - 1))])


def flipped_bytes(case: Case, draw: Draw) -> None:
    content = bytearray(case.tensors["000"] or b"\0")
    for _ in range(draw(st.integers(1, 4))):
        # Most in the header.
        where = draw(st.integers(0, min(200, len(content) - 1)))
        content[where] = draw(st.integers(0, 255))
    case.put("000", bytes(content))


# Whole files, after they have been written.


@cache
def bombs() -> dict[str, bytes]:
    """Small files that unpack to large ones, and other files that are not what their names say."""
    zeros = bytes(50 << 20)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch canary'\ntR.")
        archive.writestr("../../outside/new", zeros)
    lines = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(10))
    return {
        "zip": packed.getvalue(),
        "gzip": gzip.compress(zeros),
        "pickle": b"cos\nsystem\n(S'touch canary'\ntR.",
        "aliases": lines.encode(),
        "tag": b"!!python/object/apply:os.system ['touch canary']",
        "documents": b"--- a\n--- b\n" * 1000,
        "deep": b"[" * 200_000,
        "deep block": b"".join(b" " * n + b"a:\n" for n in range(600)),
        "dashes": b"- " * 100_000,
        "keys": b"? " * 100_000,
        "many": b"".join(b"k%d: 1\n" % n for n in range(20_000)),
        "wide": b"[" + b"a," * 120_000 + b"]",
        "long": b'a: "' + b"x" * 250_000 + b'"',
        "words": b"a: " + b"x " * 120_000,
        "digits": b"9" * 250_000,
        "version": b"%YAML 1." + b"9" * 5000 + b"\n--- a",
        "bytes": bytes(range(256)) * 10,
        "utf-16": '{"results": {}}'.encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf{}",
        "escape": b"a: [\xe2\x80\xae\xe2\x80\xa8 '",
        "empty": b"",
        "null": b"null",
        "surrogate": b'{"\\ud800": 1, "results": {"\\ud800": {}}}',
    }


FILES = ("submission.yaml", "results.json", "attack.py", "reconstructions/000.safetensors")
PLACES = (*FILES, "reconstructions")


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _place(case: Case, draw: Draw, places: tuple[str, ...] = PLACES) -> Path:
    """A cleared place, whose folder is there."""
    path = case.path / draw(st.sampled_from(places))
    if not path.parent.is_dir():
        path = case.path / "results.json"
    _clear(path)
    return path


def bomb(case: Case, draw: Draw) -> None:
    _place(case, draw, FILES).write_bytes(bombs()[draw(st.sampled_from(sorted(bombs())))])


def soft_link(case: Case, draw: Draw) -> None:
    targets: tuple[Path | str, ...] = (
        case.outside / "secret",
        case.outside,
        "/etc/passwd",
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "results.json",
        "../outside/new",
        "/",
    )
    _place(case, draw).symlink_to(draw(st.sampled_from(targets)))


def soft_link_of_it_all(case: Case, draw: Draw) -> None:
    case.path.rename(case.outside / "its")
    case.path.symlink_to(case.outside / "its")


def hard_link(case: Case, draw: Draw) -> None:
    os.link(case.outside / "secret", _place(case, draw, FILES))


def special_file(case: Case, draw: Draw) -> None:
    path, kind = _place(case, draw), draw(st.sampled_from(["fifo", "socket", "device", "folder"]))
    if kind == "folder":
        if path.name == "reconstructions":
            path.write_text("a file")
        else:
            path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            # Paths of sockets must be short.
            here = Path.cwd()
            os.chdir(path.parent)
            try:
                server.bind(path.name)
            finally:
                os.chdir(here)
    elif kind == "device" and os.geteuid() == 0:
        os.mknod(path, 0o20666, os.makedev(1, 5))
    else:
        os.mkfifo(path)


def sparse_file(case: Case, draw: Draw) -> None:
    with _place(case, draw, FILES).open("wb") as file:
        file.truncate(draw(st.sampled_from([17 << 20, 65 << 20, 10 * TERABYTE])))


def cut_file(case: Case, draw: Draw) -> None:
    path = case.path / draw(st.sampled_from(FILES))
    if path.is_file() and 0 < path.stat().st_size < 1 << 20:
        content = path.read_bytes()
        path.write_bytes(content[: draw(st.integers(0, len(content) - 1))])


def missing_file(case: Case, draw: Draw) -> None:
    _place(case, draw, ("submission.yaml", "results.json", "reconstructions", FILES[-1]))


def further_file(case: Case, draw: Draw) -> None:
    names = (
        ".git",
        "..data",
        "attack.pyc",
        "conftest.py",
        "sub\nmission.yaml",
        "\x1b[2J",
        "x" * 250,
        "\udcff",
    )
    folder = draw(st.sampled_from([case.path, case.path / "reconstructions"]))
    if folder.is_dir():
        path = folder / draw(st.sampled_from(names))
        _clear(path)
        path.write_bytes(b"open('canary', 'w')")


def own_source(case: Case, draw: Draw) -> None:
    """A file that would do harm if it were imported, named by the submission or not."""
    source = case.path / "attack.py"
    if case.path.is_dir() and not source.exists() and not source.is_symlink():
        source.write_text(f"open({str(case.canary)!r}, 'w').write('run')\n")


Spoiler = Callable[[Case, Draw], None]
# Applied in this order, whatever the order in which they were drawn.
FIELDS: tuple[Spoiler, ...] = (
    about_text,
    about_address,
    folder_name,
    protocol_name,
    file_field,
    result_field,
    trick_in_yaml,
    missing_key,
    unknown_key,
    repeated_key,
    result_name,
    many_results,
)
TENSORS: tuple[Spoiler, ...] = (
    tensor_shape,
    tensor_type,
    tensor_offsets,
    tensor_names,
    header_length,
    header_text,
    tensor_values,
    label_values,
    cut_tensors,
    flipped_bytes,
)
WHOLE: tuple[Spoiler, ...] = (
    bomb,
    soft_link,
    soft_link_of_it_all,
    hard_link,
    special_file,
    sparse_file,
    cut_file,
    missing_file,
    further_file,
    own_source,
)
ORDER = {one: place for place, one in enumerate(TENSORS + FIELDS + WHOLE)}
# Alone, these leave nothing that could be accepted.
FATAL = frozenset(
    [
        about_address,
        folder_name,
        protocol_name,
        repeated_key,
        result_name,
        many_results,
        tensor_shape,
        tensor_offsets,
        tensor_names,
        header_length,
        header_text,
        label_values,
        cut_tensors,
        bomb,
        soft_link,
        soft_link_of_it_all,
        hard_link,
        special_file,
        sparse_file,
        missing_file,
        further_file,
        own_source,
    ]
)


def spoil(case: Case, spoilers: list[Spoiler], draw: Draw) -> None:
    """Write the submission, spoiled."""
    ordered = sorted(spoilers, key=ORDER.__getitem__)
    for one in ordered:
        if one not in WHOLE:
            one(case, draw)
    case.write()
    for one in ordered:
        if one in WHOLE:
            one(case, draw)
