import base64

import pytest

from comfy_nb.kernel.display import WIDGET, bundle, static_bundle, summary_html

LIVE = {"version_major": 2, "version_minor": 1, "model_id": "ab12"}


class View:
    def __init__(self, made):
        self.made = made

    def _repr_mimebundle_(self, **_):
        return self.made


@pytest.mark.parametrize(
    "made", [({"text/plain": "View()", WIDGET: LIVE}, {}), {"text/plain": "v", WIDGET: LIVE}]
)
def test_a_bundle_holds_the_widget_and_what_stands_in_for_it(made):
    data, metadata = bundle(View(made), text="Job 12: done", html="<b>Job 12</b>", png=b"\x89PNG")
    assert data == {
        WIDGET: LIVE,
        "text/plain": "Job 12: done",
        "text/html": "<b>Job 12</b>",
        "image/png": base64.b64encode(b"\x89PNG").decode(),
    }
    assert metadata == {}


@pytest.mark.parametrize("view", [None, View(None), View(({"text/plain": "closed"}, {}))])
def test_without_a_live_view_the_static_parts_stand_alone(view):
    data, _ = bundle(view, text="Job 12: done")
    assert data == {"text/plain": "Job 12: done", "text/html": summary_html("Job 12: done")}


def test_a_stand_in_hides_what_is_left_of_the_live_view_once_it_has_something_to_show():
    html = static_bundle("done", mark="beside")["text/html"]
    assert html.startswith("<style>.jp-OutputArea-child:has(+.jp-OutputArea-child .beside)>")
    assert html.endswith('<div class="beside">done</div>')
    assert "<style>" not in static_bundle("done")["text/html"]
    assert static_bundle("", mark="beside")["text/html"] == '<div class="beside"></div>'


def test_text_stays_text():
    html = summary_html("<script>alert(1)</script>", {"<i>": "a & \"b\" <img src=x onerror='x'>"})
    assert html == (
        "<div><strong>&lt;script&gt;alert(1)&lt;/script&gt;</strong>"
        "<dl><dt>&lt;i&gt;</dt><dd>a &amp; &quot;b&quot; &lt;img src=x onerror=&#x27;x&#x27;&gt;</dd></dl></div>"
    )
    data, _ = bundle(None, text="<script>")
    assert "<script>" not in data["text/html"]
    assert data["text/plain"] == "<script>"


def test_a_real_widget_is_shown():
    import anywidget

    class Small(anywidget.AnyWidget):
        _esm = "export default { render() {} }"

    widget = Small()
    data, _ = bundle(widget, text="small")
    assert data[WIDGET]["model_id"] == widget.model_id
    widget.close()
    assert WIDGET not in bundle(widget, text="small")[0]
