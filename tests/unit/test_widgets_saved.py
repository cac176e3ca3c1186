"""What a saved notebook keeps of a job: how large, in which words, and that it is text."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfy_nb.errors import OutputError
from comfy_nb.loop import get_loop
from comfy_nb.store import configure, saved_limit
from comfy_nb.widgets import saved


class Source:
    """A job that has ended, as a view sees it."""

    def __init__(self, status: str = "succeeded", **more: Any) -> None:
        self.facts = {"title": "A <i>bottle</i>", "elapsed": 4.24, "note": "", "error": None} | more
        self.status, self.shown, self.frame = status, [], None

    def plan(self) -> Any:
        return SimpleNamespace(title=self.facts["title"])

    def snapshot(self) -> Any:
        return SimpleNamespace(status=self.status, **self.facts)

    def outputs(self) -> list[Any]:
        return self.shown

    def last_frame(self) -> Any:
        return self.frame


def output(data: bytes, index: int = 0, *, on_server: bool = True) -> Any:
    return SimpleNamespace(kind="image", data=data, index=index, saved=on_server)


def picture(size: int, mode: str = "RGB") -> bytes:
    noise = np.random.default_rng(7).integers(0, 256, (size, size, len(mode)), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise, mode).save(out, "PNG")
    return out.getvalue()


def decoded(copy: dict[str, str]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(copy["image/jpeg"])))


@pytest.mark.parametrize("limit", [4_000, 20_000, 150_000, 600_000])
def test_a_copy_is_as_large_as_its_limit_allows(limit):
    source = Source()
    source.shown = [output(picture(1200))]  # noise: the hardest there is to make small
    copy = saved.saved_copy(source, limit, mark="beside")
    assert len(json.dumps(copy)) <= limit
    larger = saved.saved_copy(source, 4 * limit, mark="beside")
    assert decoded(larger).size > decoded(copy).size


def test_its_words():
    source = Source()
    source.shown = [output(picture(8), index) for index in range(2)]
    copy = saved.saved_copy(source)
    assert copy["text/plain"] == "A <i>bottle</i>: succeeded in 4.2 s · 2 images"
    assert "A &lt;i&gt;bottle&lt;/i&gt;: succeeded" in copy["text/html"]
    assert "<i>" not in copy["text/html"]
    assert copy["image/jpeg"] in copy["text/html"]


def test_saved_pictures_come_before_temporary_ones_and_those_that_are_gone():
    class Gone:
        kind, index, saved = "image", 0, True

        @property
        def data(self) -> bytes:
            raise OutputError("dropped")

    source = Source()
    source.shown = [output(picture(8), 1, on_server=False), Gone(), output(picture(16), 2)]
    assert decoded(saved.saved_copy(source)).size == (16, 16)


def test_a_job_without_outputs_keeps_its_last_guess_and_says_so():
    source = Source("cancelled", note="interrupted at step 7")
    source.frame = SimpleNamespace(image=picture(8), step=7)
    copy = saved.saved_copy(source)
    assert copy["text/plain"] == "A <i>bottle</i>: cancelled · interrupted at step 7 · last guess, of step 7"
    assert decoded(copy).size == (8, 8)
    source.frame = None
    source.facts |= {"note": "", "error": SimpleNamespace(title="out of memory")}
    copy = saved.saved_copy(source)
    assert copy["text/plain"] == "A <i>bottle</i>: cancelled · out of memory"
    assert "image/jpeg" not in copy
    assert "<img" not in copy["text/html"]


def test_transparent_pictures_lie_on_white_and_broken_ones_are_left_out():
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG")
    source = Source()
    source.shown = [output(out.getvalue())]
    assert decoded(saved.saved_copy(source)).getpixel((4, 4)) == (255, 255, 255)
    source.shown = [output(b"no picture")]
    assert "image/jpeg" not in saved.saved_copy(source)


def test_the_limit_is_a_setting_of_the_process():
    assert saved_limit() == 150_000
    source = Source()
    source.shown = [output(picture(8))]
    try:
        configure(saved=0)
        assert "image/jpeg" not in saved.saved_copy(source)
    finally:
        configure(saved=150_000)
    with pytest.raises(ValueError, match="saved is a size in bytes"):
        configure(saved=-1)


@pytest.fixture
def displayed(monkeypatch) -> list[tuple[str, str, dict[str, Any]]]:
    """What was displayed and replaced, in order: how, where, what."""
    seen: list[tuple[str, str, dict[str, Any]]] = []

    def note(how: str) -> Any:
        return lambda name, data: seen.append((how, name.rpartition("-")[2], dict(data)))

    monkeypatch.setattr(saved, "publish", note("publish"))
    monkeypatch.setattr(saved, "replace", note("replace"))
    return seen


def test_the_copy_stands_beside_the_view_and_is_filled_in_once(displayed):
    source = Source("running")
    kept = saved.Saved(source, get_loop())
    kept.show({saved.WIDGET: {"model_id": "m"}, "text/plain": "JobView()"})
    get_loop().run(kept.fill()).result(10)
    assert [each[:2] for each in displayed] == [("publish", "live"), ("publish", "saved")]
    assert displayed[0][2] == {saved.WIDGET: {"model_id": "m"}, "text/plain": "A <i>bottle</i>"}
    assert displayed[1][2] == {"text/plain": "", "text/html": '<div class="cnb-saved"></div>'}

    source.status = "succeeded"
    get_loop().run(kept.fill()).result(10)
    kept.settle()
    assert [each[:2] for each in displayed[2:]] == [("replace", "saved")]
    assert saved.WIDGET not in displayed[2][2]

    kept.freeze(20_000)
    assert [each[:2] for each in displayed[3:]] == [("replace", "live"), ("replace", "saved")]
    assert displayed[3][2]["text/plain"].startswith("A <i>bottle</i>: succeeded")
    assert displayed[4][2]["text/plain"] == ""
    kept.show(None)
    assert displayed[5][:2] == ("publish", "live")
    assert displayed[5][2]["text/plain"].startswith("A <i>bottle</i>: succeeded")


def test_nothing_is_filled_in_that_is_not_on_display(displayed):
    kept = saved.Saved(Source(), get_loop())
    get_loop().run(kept.fill()).result(10)
    kept.settle()
    kept.freeze()
    assert displayed == []
