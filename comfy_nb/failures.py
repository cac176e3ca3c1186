"""Sentences for what went wrong: from the server's words and the plan's labels to a `Failure` for people."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

from comfy_nb.errors import Problem
from comfy_nb.events import Failure, Settled
from comfy_nb.wire.fields import plain
from comfy_nb.wire.messages import ExecutionError
from comfy_nb.wire.records import HistoryEntry, NodeError, PromptRejected
from comfy_nb.workflow.plan import Plan

__all__ = ["conceal", "left_out", "refusal", "rejection", "unreachable", "verdict"]

MAX_LINE = 300  # characters of a server's message in one line for people
MAX_DETAIL = 20_000  # characters of a traceback
SHOWN = 3  # names that may have been meant
CLOSE = 0.6  # how like another a name must be to be one of them, 0 to 1

SHORTEST = (
    8  # characters of a secret that is looked for in a server's words; shorter ones stand there by chance
)

_DANGLING = re.compile(r"'(?!inputs'|class_type')([^']+)'")  # a Python KeyError: the node that was looked up
_UNTOLD = re.compile(r"\(list of length (\d{1,9})\)")  # in place of a list of more than 20


_secrets: set[str] = set()


def conceal(secrets: Iterable[str]) -> None:
    """Never show these, of this process's own, should a server quote what it was sent. From any thread."""
    _secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)


def _told(text: str) -> str:
    """A server's words without what was sent to it in confidence."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "…")
    return plain(text, len(text), lines=True)


def rejection(reply: PromptRejected, plan: Plan) -> Failure:
    """Why the server refused the prompt: every node and input that it named."""
    problems = [_problem(error, plan) for error in reply.node_errors]
    if not problems:
        problems.append(Problem(_both(reply.message, reply.details) or "the server gave no reason"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Failure("rejected", f"Rejected by the server: {problems[0]}{more}", tuple(problems))


def refusal(problems: tuple[Problem, ...]) -> Failure:
    """Why the prompt was not even sent: what the server would refuse."""
    first = str(next(iter(problems), "it is not valid"))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Failure("rejected", f"Not sent: {first}{more}", tuple(problems))


def unreachable(error: Exception) -> Failure:
    """The prompt could not be handed over at all."""
    return Failure("unreachable", str(error), (Problem(str(error)),))


def left_out(errors: tuple[NodeError, ...], plan: Plan) -> tuple[str, ...]:
    """One warning per fault of a prompt that was taken only in part."""
    return tuple(f"Left out, as {_problem(error, plan)}" for error in errors)


def verdict(entry: HistoryEntry, plan: Plan) -> Settled:
    """What the history says of a run."""
    failure = _failed(entry.error, plan) if entry.outcome == "failed" else None
    return Settled(entry.outcome, failure, entry.cached)


def _failed(error: ExecutionError | None, plan: Plan) -> Failure:
    if error is None:
        text = "The run failed, and the server's history does not say why"
        return Failure("execution", text, (Problem(text),))
    shown = plan.display_id(error.node_id) or error.node_id
    label = _label(shown, error.node_type, plan)
    message = _line(error.exception_message) or _line(error.exception_type) or "no message"
    return Failure(
        "execution",
        f"{label} failed: {message}",
        (Problem(message, shown, label),),
        detail=_told("".join(error.traceback))[-MAX_DETAIL:],  # the fault stands last
        exception_type=_line(error.exception_type),
    )


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
            return f"{got} is too small{_allowed(allowed)}"
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
            return _line(error.message)
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
    """The first line that says something, cut to a readable length."""
    first = _told(next((line.strip() for line in text.splitlines() if line.strip()), ""))
    return first if len(first) <= MAX_LINE else first[: MAX_LINE - 1] + "…"
