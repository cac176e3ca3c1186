"""The doctor's findings, from servers that are well and servers that are not."""

from __future__ import annotations

import pytest

from comfy_nb import errors
from comfy_nb.cli import main
from comfy_nb.testing import Faults, Frames, ScriptedServer


def test_a_server_that_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer() as server:
        assert main(["doctor", server.url]) == 0
    told = capsys.readouterr().out
    for sentence in ("ComfyUI 0.33.0 answers", "each job asks", "0 running, 0 waiting", "websocket opens"):
        assert sentence in told
    assert "bad" not in told


def test_an_old_one_and_one_whose_websocket_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(Frames(version="0.3.40"), Faults(socket="refused")) as server:
        assert main(["doctor", server.url.replace("//", "//ann:s3cret@")]) == 1
    told = capsys.readouterr().out
    assert "--preview-method auto" in told
    assert "a proxy must pass websockets on" in told
    assert "s3cret" not in told


def test_errors_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert main(["doctor", "--errors"]) == 0
    assert capsys.readouterr().out == errors.explain(72) + "\n"
