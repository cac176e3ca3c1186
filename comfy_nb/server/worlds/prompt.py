"""The grammar of prompts: words with weights, as ComfyUI writes them, matched against a world's vocabulary.

`(word)` counts 1.1 times, `(word:1.3)` 1.3 times, brackets nest; commas mean nothing; case and plurals are folded.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from comfy_nb.server.worlds.base import Conditioning

EMPHASIS = 1.1

_STOP = """a an the and or of in on at with without over under by to from for into near above below behind before
front beside between through is are its it this that some very"""
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing about a picture here."""

_TOKEN = re.compile(r"\\[()]|\(|:\s*(-?\d+(?:\.\d*)?|-?\.\d+)\s*\)|\)|[a-z]+")


def read_prompt(text: str, vocabulary: Collection[str]) -> Conditioning:
    """Read a prompt into known words with weights, and unknown ones; each word once, in the order of the text.

    A word that is written several times counts with the sum of its weights.
    """
    known: dict[str, float] = {}
    unknown: dict[str, None] = {}
    for word, weight in weighted_words(text):
        if word in STOP_WORDS:
            continue
        match = next((form for form in _singulars(word) if form in vocabulary), None)
        if match is None:
            unknown[word] = None
        else:
            known[match] = known.get(match, 0.0) + weight
    return Conditioning(text, tuple(known), tuple(known.values()), tuple(unknown))


def weighted_words(text: str) -> list[tuple[str, float]]:
    """Split a prompt into lower-case words, each with the product of the weights of the brackets around it."""
    words: list[tuple[str, float]] = []
    opened: list[int] = []  # where the words of each open bracket begin
    for token in _TOKEN.finditer(text.lower()):
        mark = token.group()
        if mark == "(":
            opened.append(len(words))
        elif mark.endswith(")") and not mark.startswith("\\"):
            if opened:
                factor = float(token.group(1)) if token.group(1) else EMPHASIS
                start = opened.pop()
                words[start:] = [(word, weight * factor) for word, weight in words[start:]]
        elif mark.isalpha():
            words.append((mark, 1.0))
    return words


def _singulars(word: str) -> list[str]:
    forms = [word]
    if word.endswith("ies"):
        forms.append(word[:-3] + "y")
    if word.endswith("ves"):
        forms.append(word[:-3] + "f")
    if word.endswith("es"):
        forms.append(word[:-2])
    if word.endswith("s"):
        forms.append(word[:-1])
    if word.endswith("y"):
        forms += [word[:-1], word[:-2]]  # snowy, sunny
    return forms
