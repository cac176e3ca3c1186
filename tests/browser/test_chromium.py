"""The browser itself works: when this fails, the other browser tests say nothing about us."""

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import install_chromium


def test_it_draws_what_a_page_asks_for(browser: Browser):
    page = browser.new_page()
    page.set_content("<canvas id=c width=4 height=4></canvas>")
    pixel = page.evaluate("""() => {
        const pen = document.getElementById("c").getContext("2d");
        pen.fillStyle = "rgb(7, 80, 255)";
        pen.fillRect(0, 0, 4, 4);
        return [...pen.getImageData(1, 1, 1, 1).data];
    }""")
    page.close()
    assert pixel == [7, 80, 255, 255]


def test_one_sentence_says_what_failed_when_none_can_be_had(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tests.browser.chromium.find_chromium", lambda: None)
    monkeypatch.setattr(
        "tests.browser.chromium._installers", lambda: [["sh", "-c", "echo no network >&2; exit 7"]]
    )
    with pytest.raises(SystemExit) as refused:
        install_chromium()
    assert str(refused.value).startswith("No Chromium for the browser tests: none on the PATH, and `sh -c")
    assert "failed (no network)" in str(refused.value)
