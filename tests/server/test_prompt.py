"""The grammar of prompts."""

from __future__ import annotations

import pytest

from comfy_nb.server.worlds import load_world
from comfy_nb.server.worlds.prompt import read_prompt, weighted_words

WORDS = frozenset({"city", "leaf", "house", "snow", "cloud", "cactus", "rain", "red"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red HOUSE", ("red", "house")),
        ("houses, cities; leaves & clouds", ("house", "city", "leaf", "cloud")),
        ("a house in the snow", ("house", "snow")),
        ("snowy, rainy, cloudy", ("snow", "rain", "cloud")),
        ("cactus", ("cactus",)),
        (", , ,", ()),
        ("", ()),
    ],
)
def test_known_words_are_found(text, words):
    assert read_prompt(text, WORDS).words == words


def test_unknown_words_are_listed_once_and_stop_words_never():
    read = read_prompt("the blurp on a house, blurp and zonk 42", WORDS)
    assert read.unknown == ("blurp", "zonk")
    assert read.text == "the blurp on a house, blurp and zonk 42"


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("red (house:1.3) snow", [("red", 1.0), ("house", 1.3), ("snow", 1.0)]),
        ("(house)", [("house", 1.1)]),
        ("((house))", [("house", 1.21)]),
        ("(red (house:1.5):2)", [("red", 2.0), ("house", 3.0)]),
        ("(house:0)", [("house", 0.0)]),
        ("(house:-1)", [("house", -1.0)]),
        ("(house: .5 )", [("house", 0.5)]),
        (r"\(house\)", [("house", 1.0)]),
        ("(house", [("house", 1.0)]),
        ("house)", [("house", 1.0)]),
        ("house:3", [("house", 1.0)]),
    ],
)
def test_weights_are_comfyuis(text, weights):
    assert weighted_words(text) == [(word, pytest.approx(weight)) for word, weight in weights]


def test_a_repeated_word_adds_up():
    read = read_prompt("house (house:0.5) houses red", WORDS)
    assert read.words == ("house", "red")
    assert read.weights == pytest.approx((2.5, 1.0))


def test_the_default_workflows_prompt_is_understood():
    world = load_world("landscapes")
    read = world.encode_prompt("beautiful scenery nature glass bottle landscape, , purple galaxy bottle,")
    assert read.words == ("scenery", "nature", "glass", "bottle", "landscape", "purple", "galaxy")
    assert dict(zip(read.words, read.weights, strict=True))["bottle"] == 2.0
    assert read.unknown == ("beautiful",)
    assert world.encode_prompt("text, watermark").unknown == ("text", "watermark")


def test_every_word_of_the_vocabulary_reads_as_itself():
    world = load_world("landscapes")
    assert len(world.vocabulary) > 150
    assert list(world.vocabulary) == sorted(set(world.vocabulary))
    for word in world.vocabulary:
        assert world.encode_prompt(word).words == (word,)
