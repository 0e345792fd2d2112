"""Reading YAML that a stranger wrote."""

from __future__ import annotations

from typing import Any

import yaml

from gifd_bench.common.yaml_text import BoundedLoader
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.text import shown

# A submission has dozens; reading a million takes minutes.
MOST_NODES = 5000


class _PlainLoader(BoundedLoader):
    """YAML without tags, anchors and aliases, and with dates left as text.

    Aliases of aliases would make a short file stand for more than any memory holds.
    """

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise yaml.YAMLError(f"more than {MOST_NODES} values")
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:
            raise yaml.YAMLError("anchors are not allowed")
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError("tags are not allowed")
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str, name: str) -> Any:
    """Parse plain YAML values.

    Raises:
        LeaderboardError: it is not such YAML.
    """
    loader: Any = None
    try:
        loader = _PlainLoader(text)
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        raise LeaderboardError(f"{name}: not plain YAML ({shown(error)})") from error
    finally:
        if loader is not None:
            loader.dispose()
