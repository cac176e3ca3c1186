"""The wire form of events: what goes out comes back, whatever comes is checked, and a record is a fold of it."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfy_nb import events as ev
from comfy_nb.errors import Problem
from comfy_nb.events import blobs_of, from_dict, to_dict
from comfy_nb.store import Blob, get_store
from comfy_nb.wire.fields import Malformed
from comfy_nb.wire.records import FileRef, NodeOutput

BLOB = get_store().put(b"a picture", "steps")
PROBLEM = Problem("boom", "3", "KSampler", "cfg")
FILE = FileRef("a.png", "sub", "output", None)
EXAMPLES: list[ev.Event] = [
    ev.Submitted(3.5, "other"),
    ev.Placed("gpu:8188"),
    ev.Entitled("a title"),
    ev.PreviewsOff(),
    ev.Rejected(ev.Failure("rejected", "no", (PROBLEM,), "detail", "ValueError")),
    ev.Positioned(2),
    ev.Started(),
    ev.NodesCached(("4", "5")),
    ev.NodeShown("a1", "3"),
    ev.NodeStarted("3"),
    ev.Progressed("3", 2, 20.5),
    ev.NodeFinished("3"),
    ev.Preview("3", "image/jpeg", b"a picture", 2, 20),
    ev.StepKept(1, "3", 2, 20, "image/jpeg", BLOB),
    ev.NodeExecuted("9", NodeOutput("9", "9", (FILE,), ("hi",))),
    ev.OutputArrived(ev.Result(0, "9", "9", "a.png", "image/png", "image", saved=True, blob=BLOB)),
    ev.OutputArrived(ev.Result(1, "9", "9", "", "text/plain", "text", saved=False, text="hi", problem="x")),
    ev.NodeText("3", "half way"),
    ev.Warned("odd"),
    ev.Stopping(),
    ev.Finishing(),
    ev.Settled("failed", ev.Failure("execution", "boom", (PROBLEM,)), ("4",)),
    ev.Ended((1, 0)),
    ev.Vanished("gone", cancelled=True),
    ev.LinkChanged("reconnecting", "a note"),
]


def carried(*events: ev.Event) -> ev.BytesOf:
    """Brings bytes from one side to the other, as whoever hands events on does."""
    held = {
        digest: bytes(getattr(data, "data", data)) for e in events for digest, data in blobs_of(e).items()
    }

    def bytes_of(digest: str, size: int) -> Blob:
        assert len(held[digest]) == size
        return get_store().put(held[digest], "steps")

    return bytes_of


def plain(event: ev.Event) -> Any:
    """An event without handles, which are compared by identity."""
    return to_dict(event)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_there_and_back(event: ev.Event) -> None:
    form = json.loads(json.dumps(to_dict(event), allow_nan=False))
    back = from_dict(form, carried(event))
    assert type(back) is type(event)
    assert plain(back) == plain(event)
    for digest, data in blobs_of(back).items():
        assert blobs_of(event)[digest] == data or getattr(data, "data", data) == b"a picture"


def test_every_kind_of_event_is_here() -> None:
    assert {type(event) for event in EXAMPLES} == set(get_args(ev.Event))


def test_a_kept_step_refers_to_the_bytes_of_its_preview() -> None:
    preview, kept = (next(e for e in EXAMPLES if isinstance(e, kind)) for kind in (ev.Preview, ev.StepKept))
    assert to_dict(preview)["image"] == to_dict(kept)["blob"]
    assert b"picture" not in json.dumps(to_dict(preview)).encode()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({}, "an event of version None cannot be read, only version 1"),
        ({"v": 2, "k": "Started"}, "an event of version 2 cannot be read, only version 1"),
        ({"v": 1, "k": "Blob"}, "'Blob' is no kind of event"),
        ({"v": 1, "k": ["Started"]}, "list is no kind of event"),
        ({"v": 1, "k": "Progressed", "node_id": "3", "value": 1}, "Progressed.max is missing"),
        (
            {"v": 1, "k": "Positioned", "position": True},
            "Positioned.position is True, which is no int within bounds",
        ),
        ({"v": 1, "k": "Positioned", "position": 2**60}, "no int within bounds"),
        ({"v": 1, "k": "Progressed", "node_id": "3", "value": "1", "max": 2}, "Progressed.value is '1'"),
        ({"v": 1, "k": "Warned", "text": "x" * 1_000_001}, "no str within bounds"),
        ({"v": 1, "k": "NodesCached", "nodes": "45"}, "NodesCached.nodes must be a list"),
        ({"v": 1, "k": "NodesCached", "nodes": [4]}, r"NodesCached.nodes\[0\] is 4"),
        (
            {"v": 1, "k": "Settled", "outcome": "won"},
            "Settled.outcome is 'won', but must be one of succeeded",
        ),
        ({"v": 1, "k": "Rejected", "failure": 7}, "Rejected.failure must be a mapping, not 7"),
        ({"v": 1, "k": "Preview", "node_id": "", "media_type": "", "image": "/9j"}, "must refer to bytes"),
    ],
)
def test_what_is_no_event_is_refused_in_one_sentence(form: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        from_dict(form, carried())


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert from_dict({"v": 1, "k": "NodeStarted", "node_id": "3", "more": [1]}, carried()) == ev.NodeStarted(
        "3"
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_a_form_with_anything_in_any_place_is_an_event_or_one_sentence(
    event: ev.Event, data: st.DataObject
) -> None:
    form = to_dict(event)
    form[data.draw(st.sampled_from(sorted(form)))] = data.draw(anything)
    try:
        back = from_dict(form, carried(event))
    except Malformed as error:
        told = str(error)
    except KeyError:  # what `carried` does not hold
        told = json.dumps(form)
        assert "sha256" in told
    else:
        told = json.dumps(to_dict(back), allow_nan=False)
    assert "\n" not in told
