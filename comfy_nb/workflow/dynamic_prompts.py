r"""Dynamic prompts, as the front end reads them: comments, and "{red|blue}" for one of them drawn at random.

Prompts that go to a server directly are not read that way by anybody, so a conversion has to do it.
"""

from __future__ import annotations

import re

__all__ = ["plain_prompt"]

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n\r\u2028\u2029]*", re.DOTALL)
_ESCAPED = re.compile(r"\\([{}|])")
MAX_DEPTH = 100
"""How deep braces may stand in each other; deeper ones are left as they are."""


def plain_prompt(text: str) -> tuple[str, bool]:
    """The text without comments and without braces that leave no choice; and whether there is a choice left.

    Where there is something to choose, that group stays as it is: nothing is drawn here.
    """
    if not any(mark in text for mark in ("{", "\\", "//", "/*")):
        return text, False
    result, has_choice = _read(_COMMENT.sub("", text), 0)
    return result, has_choice


def _read(text: str, depth: int) -> tuple[str, bool]:
    parts: list[str] = []
    has_choice, at = False, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            parts.append(text[at : at + 2])
            at += 2
        elif char == "{" and depth < MAX_DEPTH:
            options, end = _options(text, at + 1)
            if len(options) == 1:
                inner, found = _read(options[0], depth + 1)
            else:
                inner, found = text[at:end], True
            has_choice = has_choice or found
            parts.append(inner)
            at = end
        else:
            parts.append(char)
            at += 1
    return _ESCAPED.sub(r"\1", "".join(parts)), has_choice


def _options(text: str, start: int) -> tuple[list[str], int]:
    """The alternatives of a group whose brace stands before `start`, and where the group ends."""
    options: list[str] = []
    depth, begin, at = 0, start, start
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return [*options, text[begin:at]], at + 1
            depth -= 1
        elif char == "|" and depth == 0:
            options.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*options, text[begin:]], len(text)
