"""The ids that sub-graph nodes get when the front end opens a file.

Every definition numbers its nodes from scratch, so ids meet. On opening, the front end gives a new number to
each node whose id the root or an earlier definition already has (front end 1.40 and newer); prompts hold the
new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from comfy_nb.workflow.ui import UiGraph, UiLink, UiNode

__all__ = ["renumber"]


def renumber(
    root: UiGraph, definitions: Mapping[str, UiGraph], last_id: int
) -> tuple[UiGraph, dict[str, UiGraph]]:
    """The root and the definitions with ids that meet nowhere. `last_id` is the highest number given so far."""
    used = set(root.nodes)
    moved: dict[str, dict[str, str]] = {}
    for key, graph in definitions.items():
        moves: dict[str, str] = {}
        for node_id in graph.nodes:
            if node_id not in used:
                used.add(node_id)
                last_id = max(last_id, _number(node_id))
                continue
            last_id += 1
            while str(last_id) in used:
                last_id += 1
            moves[node_id] = str(last_id)
            used.add(str(last_id))
        moved[key] = moves
    done = {key: _moved(graph, moved[key], moved) for key, graph in definitions.items()}
    return _moved(root, {}, moved), done


def _number(node_id: str) -> int:
    return int(node_id) if node_id.isascii() and node_id.isdigit() else 0


def _moved(graph: UiGraph, moves: Mapping[str, str], everywhere: Mapping[str, Mapping[str, str]]) -> UiGraph:
    def node(old: UiNode) -> UiNode:
        inside = everywhere.get(old.type, {})
        promoted = tuple((inside.get(source, source), name) for source, name in old.promoted)
        return replace(old, id=moves.get(old.id, old.id), promoted=promoted)

    def link(old: UiLink) -> UiLink:
        return replace(
            old, source=moves.get(old.source, old.source), target=moves.get(old.target, old.target)
        )

    nodes = {new.id: new for new in map(node, graph.nodes.values())}
    return replace(graph, nodes=nodes, links={key: link(old) for key, old in graph.links.items()})
