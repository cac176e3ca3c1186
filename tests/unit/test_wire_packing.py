"""Messages as frames. What frames look like is taken from recordings, never from our own packer."""

from __future__ import annotations

import math

import pytest

from comfy_nb.wire import messages as m
from comfy_nb.wire.packing import pack
from tests.traces.reader import WsOut, read


def test_the_flags_a_client_sends() -> None:
    (sent,) = read("v0.33.0", "txt2img_flags").of(WsOut)
    assert pack(m.FeatureFlags({"supports_preview_metadata": True})) == sent.raw


def test_progress_text_in_both_layouts() -> None:
    assert pack(m.ProgressText("1", "héllo", None)) == bytes.fromhex("00000003 00000001 31 68C3A96C6C6F")
    assert pack(m.ProgressText("1", "hello", "ab")) == b"\0\0\0\x03\0\0\0\x02ab\0\0\0\x011hello"


def test_an_empty_output_is_null() -> None:
    assert pack(m.Executed("9", "9", {}, "p")) == (
        '{"type": "executed", "data": {"node": "9", "display_node": "9", "output": null, "prompt_id": "p"}}'
    )


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (m.Unknown("x", "y"), "A message of an unknown kind cannot be packed."),
        (m.PreviewImage("image/webp", b""), "A preview without ids is JPEG or PNG, not image/webp."),
        (m.Progress(math.nan, 1, "3", "p"), "Out of range float values are not JSON compliant"),
    ],
)
def test_what_comfyui_never_sends_is_refused(message: m.Message, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        pack(message)
