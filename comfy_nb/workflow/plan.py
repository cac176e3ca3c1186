"""The plan of one prompt, frozen when it is submitted: the nodes that will run, and what to call them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from comfy_nb.workflow.costs import cost
from comfy_nb.workflow.names import Names
from comfy_nb.workflow.subject import subject
from comfy_nb.workflow.values import Json, Prompt, is_mapping, is_secret, read_link

__all__ = ["Plan", "PlanNode", "make_plan"]

Parameter = str | int | float | bool

MAX_NAMESAKES = 20
"""Among more nodes than this that share a title, a parameter goes by its node's id."""


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One node that will run.

    `label` is its title in the workflow, else its class. `activity` is what it does ("Sampling image…"), else
    the label with "…". `weight` is about how long it takes, in sampler steps: see `costs`.
    """

    id: str
    label: str
    class_type: str
    activity: str
    weight: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run for one prompt.

    `nodes` stand in an order in which they could run; the server may choose another. `parameters` maps
    "Title.input" to every plain value of these nodes ("id.input" where a title is not the node's alone),
    without those whose name says that they are secret.
    """

    prompt_id: str
    title: str
    nodes: tuple[PlanNode, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter], hash=False)
    _by_id: Mapping[str, PlanNode] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {node.id: node for node in self.nodes})

    def node(self, node_id: str) -> PlanNode | None:
        """The node of exactly that id, or None."""
        return self._by_id.get(node_id)

    def display_id(self, node_id: str) -> str | None:
        """The id of the planned node that shows what happens at `node_id`, or None if no node does.

        That is the id itself, else its longest planned prefix: "5" for "5.0.0.1", a node that node 5 expanded
        into at run time. Ids of sub-graph nodes ("12:3") are planned themselves.
        """
        while node_id not in self._by_id:
            cut = max(node_id.rfind("."), node_id.rfind(":"))
            if cut <= 0:
                return None
            node_id = node_id[:cut]
        return node_id


def make_plan(
    prompt: Mapping[str, object],
    prompt_id: str,
    *,
    title: str | None = None,
    name: str = "",
    outputs: Iterable[str] | None = None,
) -> Plan:
    """The plan of an API-format prompt. Never fails: what is not a node is left out.

    `title` defaults to the first words of the positive prompt, else `name` (the workflow file's stem), else
    "Workflow". Which nodes are outputs only the server knows (`outputs_to_execute` in its queue, given as
    `outputs`); until then every node that no other node uses counts as one. What no output needs is left out.
    """
    nodes = _tidy(prompt)
    order = _run_order(nodes, outputs)
    return Plan(
        prompt_id=prompt_id,
        title=title or subject(nodes, order) or name or "Workflow",
        nodes=tuple(_plan_node(nodes, node_id) for node_id in order),
        parameters=_parameters(nodes, order),
    )


def _tidy(prompt: Mapping[str, object]) -> Prompt:
    """The well-formed nodes of a prompt that may come from a server."""
    nodes: Prompt = {}
    for node_id, node in prompt.items():
        if not is_mapping(node):
            continue
        class_type, inputs, meta = node.get("class_type"), node.get("inputs"), node.get("_meta")
        if not isinstance(class_type, str) or not is_mapping(inputs):
            continue
        title = meta.get("title") if is_mapping(meta) else None
        nodes[node_id] = {
            "class_type": class_type,
            "inputs": cast("dict[str, Json]", inputs),
            "_meta": {"title": title if isinstance(title, str) and title.strip() else class_type},
        }
    return nodes


def _plan_node(nodes: Prompt, node_id: str) -> PlanNode:
    node = nodes[node_id]
    label = node["_meta"]["title"]
    activity, weight = cost(nodes, node_id)
    return PlanNode(node_id, label, node["class_type"], activity or f"{label}…", weight)


def _parameters(nodes: Prompt, order: Iterable[str]) -> dict[str, Parameter]:
    names = Names(nodes)
    parameters: dict[str, Parameter] = {}
    for node_id in order:
        node = nodes[node_id]
        own_names = [
            name for name in (node["_meta"]["title"], node_id) if len(names.readings(name)) <= MAX_NAMESAKES
        ]
        for input_name, value in node["inputs"].items():
            if not isinstance(value, Parameter) or is_secret(input_name):
                continue
            own = (node_id, input_name)
            paths = (f"{name}.{input_name}" for name in own_names)
            path = next((path for path in paths if names.path_readings(path) == [own]), None)
            if path is not None:
                parameters[path] = value
    return parameters


def _run_order(nodes: Prompt, outputs: Iterable[str] | None) -> list[str]:
    """The nodes that the outputs need, each after what it uses; stable, and bounded for cycles."""
    uses = {node_id: _used_by(nodes, node_id) for node_id in nodes}
    if outputs is None:
        used = {other for node_id, others in uses.items() for other in others if other != node_id}
        # In a graph of nothing but cycles every node is used; then none is better than another.
        targets = [node_id for node_id in nodes if node_id not in used] or list(nodes)
    else:
        targets = [node_id for node_id in outputs if node_id in nodes]
    order: list[str] = []
    seen: set[str] = set()
    # Depth first, without recursion: graphs may be thousands of nodes deep.
    for target in targets:
        stack: list[tuple[str, Iterator[str]]] = []
        if target not in seen:
            seen.add(target)
            stack.append((target, iter(uses[target])))
        while stack:
            node_id, rest = stack[-1]
            after = next((other for other in rest if other not in seen), None)
            if after is None:
                order.append(node_id)
                stack.pop()
            else:
                seen.add(after)
                stack.append((after, iter(uses[after])))
    return order


def _used_by(nodes: Prompt, node_id: str) -> list[str]:
    links = (read_link(value) for value in nodes[node_id]["inputs"].values())
    return [link.node_id for link in links if link is not None and link.node_id in nodes]
