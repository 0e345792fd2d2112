"""What the site needs besides its pages: the files that pages link to, and the list of public names."""

from __future__ import annotations

import os
import re
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".cfg": "ini", ".toml": "toml", "": "text"}
NAMES = "<!-- public names -->"


def on_files(files: Files, config: Any) -> Files:
    """Add a page for every file of the repository, outside of the documentation, that a page links to."""
    wanted = {
        _source(page, target)
        for page in files.documentation_pages()
        for target in LINK.findall(page.content_string)
    }
    for source in sorted(
        wanted | {file for folder in wanted if folder.is_dir() for file in _files_in(folder)}
    ):
        if source.exists():
            files.append(File.generated(config, _page_of(source), content=_shown(source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links out of the documentation to these pages, and say what is public."""

    def there(match: re.Match[str]) -> str:
        source = _source(page.file, match.group(1))
        return os.path.relpath(_page_of(source), Path(page.file.src_uri).parent)

    return LINK.sub(there, markdown).replace(NAMES, _public_names())


def _source(page: File, target: str) -> Path:
    return (ROOT / "docs" / Path(page.src_uri).parent / target).resolve()


def _files_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".py", ".yaml"))


def _page_of(source: Path) -> str:
    return f"source/{source.relative_to(ROOT).as_posix()}.md"


def _shown(source: Path) -> str:
    path = source.relative_to(ROOT).as_posix()
    if source.is_dir():
        return f"# {path}\n\n" + "".join(
            f"- [{f.name}]({source.name}/{f.name}.md)\n" for f in _files_in(source)
        )
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".md":
        # Its own links lead from where it lies.
        return re.sub(r"\]\((?!https?://)[^)]*\)", "]", text)
    return f"# {path}\n\n````{LANGUAGES.get(source.suffix, 'text')}\n{text}\n````\n"


def _public_names() -> str:
    """Directives for all that `import gifd_bench` gives, by the module that holds it."""
    from gifd_bench import _MODULES

    parts = []
    for room, names in groupby(
        sorted(_MODULES, key=lambda n: (_MODULES[n], n)), lambda n: _MODULES[n].split(".")[0]
    ):
        parts.append(f"## {room.capitalize()}\n")
        parts += [f"::: gifd_bench.{_MODULES[name]}.{name}\n" for name in names]
    return "\n".join(parts)
