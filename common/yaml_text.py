"""YAML from anybody: plain values, every key once, neither deeply nested nor large."""

from __future__ import annotations

from typing import Any

import yaml

from gifd_bench.common.errors import one_line

# No file of a person's comes near these.
MOST_BYTES = 1 << 20
DEEPEST = 40
MOST_VALUES = 100_000


class BoundedLoader(yaml.SafeLoader):
    """A loader that refuses repeated keys and deep nesting.

    With PyYAML's own, the last of two equal keys wins silently, and what is nested takes quadratic time.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = -1

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The node that comes next, as in PyYAML.

        Raises:
            ValueError: it is nested too deeply.
        """
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The dictionary of a node, as in PyYAML.

        Raises:
            ValueError: a key is there twice.
        """
        # Before `<<` is resolved, whose keys may well be set anew.
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if isinstance(key, yaml.ScalarNode) and name in seen and key.tag != "tag:yaml.org,2002:merge":
                raise ValueError(f"line {key.start_mark.line + 1}: the key '{name}' is there twice")
            seen.add(name)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        ValueError: it is not YAML, has a key twice, is too large, or is nested too deeply; the message is
            one line.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} characters")
    loader = BoundedLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return loader.construct_document(node)
    except RecursionError as error:
        raise ValueError(f"nested more than {DEEPEST} deep") from error
    except yaml.YAMLError as error:
        raise ValueError(one_line(error)) from error
    finally:
        loader.dispose()


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of values at and below a node; those behind an alias count wherever it stands."""
    # By an alias, a list can hold itself.
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
    if id(node) not in known:
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [inner for pair in node.value for inner in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        known[id(node)] = 1 + sum(_count(inner, known, depth + 1) for inner in below)
        if known[id(node)] > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES:,} values")
    return known[id(node)]
