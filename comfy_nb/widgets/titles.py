"""Titles that tell neighbours apart: what differs between jobs of the same workflow, such as "seed 7, cfg 5".

Pure. Two jobs are neighbours when they have the same parameters, whatever their values. A title that somebody gave
stays; a job without a neighbour that differs goes by the first words of its prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from comfy_nb.workflow.plan import Parameter, Plan

__all__ = ["Titles"]

MAX_PARTS = 3  # parameters in one title
MAX_VALUE = 24  # characters of one value; a longer text is a prompt, and the title has its first words anyway


@dataclass
class _Neighbours:
    """Jobs with the same parameters, and which of these differ. A parameter that ever differed stays named."""

    plans: dict[int, Plan] = field(default_factory=dict[int, Plan])
    first: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    differing: set[str] = field(default_factory=set[str])


class Titles:
    """The titles of the jobs of one board, by key."""

    def __init__(self) -> None:
        self._groups: dict[frozenset[str], _Neighbours] = {}
        self._given: dict[int, str] = {}
        self._group_of: dict[int, _Neighbours] = {}

    def add(self, key: int, plan: Plan, *, given: str | None = None) -> set[int]:
        """Take a job in, by its `given` title or without one; returns the keys of those whose titles changed."""
        if given is not None:
            self._given[key] = given
        if key in self._group_of:
            return {key}
        group = self._groups.setdefault(frozenset(plan.parameters), _Neighbours())
        self._group_of[key] = group
        group.plans[key] = plan
        differing = {
            name for name, value in plan.parameters.items() if group.first.setdefault(name, value) != value
        }
        if differing <= group.differing:
            return {key}
        group.differing |= differing
        return set(group.plans)

    def remove(self, key: int) -> None:
        """Let a job go; the titles of the others stay."""
        self._given.pop(key, None)
        group = self._group_of.pop(key, None)
        if group is not None:
            del group.plans[key]
        self._groups = {names: kept for names, kept in self._groups.items() if kept.plans}

    def title(self, key: int) -> str:
        """What to call a job; an empty text for one that is not here."""
        if key in self._given:
            return self._given[key]
        group = self._group_of.get(key)
        return _title(group.plans[key], group.differing) if group else ""


def _title(plan: Plan, differing: set[str]) -> str:
    names = [name for name in plan.parameters if name in differing]
    short = [name for name in names if not _is_prose(plan.parameters[name])][:MAX_PARTS]
    parts = [
        f"{label} {_value(plan.parameters[name])}" for name, label in zip(short, _labels(short), strict=True)
    ]
    # Where a prompt differs, its first words are in the title; after the values, since a card cuts off what is long.
    return ", ".join(parts if parts and len(short) == len(names) else [*parts[: MAX_PARTS - 1], plan.title])


def _labels(names: Iterable[str]) -> list[str]:
    """The inputs' own names, with the node where two share one."""
    inputs = [name.rpartition(".")[2] for name in names]
    return [own if inputs.count(own) == 1 else name for name, own in zip(names, inputs, strict=True)]


def _is_prose(value: Parameter) -> bool:
    return isinstance(value, str) and (len(value) > MAX_VALUE or " " in value)


def _value(value: Parameter) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
