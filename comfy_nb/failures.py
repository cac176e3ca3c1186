"""Sentences for what went wrong: from the server's words and the plan's labels to a `Failure` for people."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from dataclasses import replace

from comfy_nb.errors import Problem
from comfy_nb.events import Failure, Settled
from comfy_nb.wire.fields import plain
from comfy_nb.wire.messages import ExecutionError
from comfy_nb.wire.records import HistoryEntry, NodeError, PromptRejected
from comfy_nb.workflow.plan import Plan
from comfy_nb.workflow.values import is_seed

__all__ = ["left_out", "refusal", "rejection", "unreachable", "verdict"]

MAX_LINE = 300  # characters of a server's message in one line for people
MAX_DETAIL = 20_000  # characters of a traceback
MAX_NEAREST = 5  # faults of one prompt for which the nearest names are looked up
SHOWN = 3  # names that may have been meant
CLOSE = 0.6  # how like another a name must be to be one of them, 0 to 1

_DANGLING = re.compile(r"'(?!inputs'|class_type')([^']+)'")  # a Python KeyError: the node that was looked up
_UNTOLD = re.compile(r"\(list of length (\d{1,9})\)")  # in place of a list of more than 20


def _told(text: str) -> str:
    """A server's words as text that shows what it is made of: no escapes for terminals, no marks that turn it round."""
    return plain(text, len(text), lines=True)


def rejection(reply: PromptRejected, plan: Plan) -> Failure:
    """Why the server refused the prompt: every node and input that it named."""
    # To find out what may have been meant takes long with long lists.
    told = reply.node_errors[:MAX_NEAREST]
    rest = (replace(error, choices=()) for error in reply.node_errors[MAX_NEAREST:])
    problems = [_problem(error, plan) for error in (*told, *rest)]
    if not problems:
        problems.append(Problem(_both(reply.message, reply.details) or "the server gave no reason"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Failure("rejected", f"Rejected by the server: {problems[0]}{more}", tuple(problems))


def refusal(problems: tuple[Problem, ...]) -> Failure:
    """Why the prompt was not even sent: what the server would refuse."""
    first = str(next(iter(problems), "it is not valid"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Failure("refused", f"Not sent: {first}{more}", tuple(problems))


def unreachable(error: Exception) -> Failure:
    """The prompt could not be handed over at all."""
    return Failure("unreachable", str(error), (Problem(str(error)),))


def left_out(errors: tuple[NodeError, ...], plan: Plan) -> tuple[str, ...]:
    """One warning per fault of a prompt that was taken only in part."""
    return tuple(f"Left out, as {_problem(error, plan)}" for error in errors)


def verdict(entry: HistoryEntry, plan: Plan, shown: Callable[[str], str | None] | None = None) -> Settled:
    """What the history says of a run. `shown` tells at which planned node an execution id is shown."""
    place = plan.display_id if shown is None else shown
    failure = _failed(entry.error, plan, place) if entry.outcome == "failed" else None
    return Settled(entry.outcome, failure, entry.cached)


def _failed(error: ExecutionError | None, plan: Plan, place: Callable[[str], str | None]) -> Failure:
    if error is None:
        text = "The run failed, and the server's history does not say why"
        return Failure("execution", text, (Problem(text),))
    shown = place(error.node_id) or error.node_id
    label = _label(shown, error.node_type, plan)
    message = _raised(error) or "no message"
    return Failure(
        "execution",
        f"{label} failed: {message}",
        (Problem(message, shown, label),),
        detail=_told("".join(error.traceback))[-MAX_DETAIL:],  # the fault stands last
        exception_type=_line(error.exception_type),
    )


def _raised(error: ExecutionError) -> str:
    """What an exception says; with its type where the text alone says little, as that of a KeyError is a key."""
    message, kind = _line(error.exception_message), _line(error.exception_type).rpartition(".")[2]
    if not message or not kind:
        return message or kind
    bare = message.strip("'\"")
    says_little = kind in _TYPE_TELLS or bare != message or not any(mark in bare for mark in " _-")
    return f"{kind}: {message}" if says_little and not message.startswith(kind) else message


_TYPE_TELLS = ("KeyError", "IndexError", "StopIteration", "AssertionError", "NotImplementedError")


def _problem(error: NodeError, plan: Plan) -> Problem:
    label = _label(error.node_id, error.class_type, plan)
    # An inner fault comes with the name of the input that led to this node: another node's.
    own = "" if error.type == "exception_during_inner_validation" else error.input_name
    return Problem(_told(_sentence(error, plan)), error.node_id, label, own)


def _sentence(error: NodeError, plan: Plan) -> str:
    got, allowed = error.received, error.allowed
    match error.type:
        case "required_input_missing":
            return "it is required and missing"
        case "value_smaller_than_min" if got:
            is_draw = got == "-1" and is_seed(error.input_name)
            remedy = "; for a new seed with every job set comfy_nb.RANDOM" if is_draw else ""
            return f"{got} is too small{_allowed(allowed)}{remedy}"
        case "value_bigger_than_max" if got:
            return f"{got} is too big{_allowed(allowed)}"
        case "value_not_in_list" if got and allowed:
            return f"{got} is not in the list{_nearest(got, error.choices)}{_allowed(allowed)}"
        case "value_not_in_list" if got and (untold := _UNTOLD.search(error.details)):
            return f"{got} is not in the list of {untold[1]} names; comfy.check(workflow) tells the nearest"
        case "invalid_input_type" if got:
            return f"{got} is of the wrong type{_allowed(allowed)}"
        case "return_type_mismatch" if got and allowed and error.linked_node:
            source = _label(error.linked_node, "", plan)
            return f"it takes {allowed}, but {source} (node {error.linked_node}) gives {got}"
        case "bad_linked_input" if got:
            return f"{got} is no link, which is a node's id and the number of its output"
        case "custom_validation_failed":
            return _line(error.details.removeprefix(f"{error.input_name} - ")) or _line(error.message)
        case "missing_node_type" | "invalid_prompt":
            # The server names the title only, which may be anything.
            kind = error.class_type
            return f"the server has no class {_line(kind)!r}" if kind else _line(error.message)
        case "exception_during_validation" | "exception_during_inner_validation" if (
            dangling := _DANGLING.fullmatch(error.details)
        ):
            return f"it is linked to node {_line(dangling[1])}, which is not in the workflow"
        case _:
            return _both(error.message, error.details)


def _nearest(got: str, choices: tuple[str, ...]) -> str:
    """What may have been meant by `got`, which is JSON; nothing of a list that is told in full with three names."""
    if len(choices) <= SHOWN:
        return ""
    folded: dict[str, str] = {}
    for choice in choices:
        folded.setdefault(_stem(choice), choice)
    close = difflib.get_close_matches(_stem(got.strip('"')), folded, SHOWN, CLOSE)
    names = ", ".join(json.dumps(folded[name], ensure_ascii=False) for name in close)
    return f"; the nearest {'is' if len(close) == 1 else 'are'} {names}" if close else ""


def _stem(name: str) -> str:
    """What counts when names are compared: not their case, and not the ending that all files share."""
    return (name.rpartition(".")[0] or name).casefold()


def _allowed(allowed: str) -> str:
    return f" (allowed: {allowed})" if allowed else ""


def _label(node_id: str, class_type: str, plan: Plan) -> str:
    planned = next((node.label for node in plan.nodes if node.id == node_id), "")
    return planned or plain(class_type) or "node"


def _both(message: str, details: str) -> str:
    """The server's message and details in one line; it often says the same in both."""
    parts = dict.fromkeys(part for part in (_line(message), _line(details)) if part)
    return _line(": ".join(parts))


def _line(text: str) -> str:
    """The first line that says something, with the next where that ends in a colon; cut to a readable length."""
    lines = (line.strip() for line in text.splitlines() if line.strip())
    first = next(lines, "")
    while first.endswith(":") and len(first) < MAX_LINE and (more := next(lines, "")):
        first = f"{first} {more}"
    first = _told(first)
    return first if len(first) <= MAX_LINE else first[: MAX_LINE - 1] + "…"
