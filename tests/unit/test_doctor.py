"""The doctor's findings, from servers that are well and servers that are not."""

from __future__ import annotations

import importlib.metadata
import re
import ssl

import pytest

import comfy_nb as cn
from comfy_nb import doctor, errors
from comfy_nb.cli import main
from comfy_nb.client.address import Address
from comfy_nb.doctor import Finding
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.testing import Faults, Frames, Page, Posted, ScriptedServer, Stage
from tests.client.helpers import until


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "COMFY_NB_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_server_that_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedServer.start(step_time=0) as server:
        assert main(["doctor", server.url]) == 0
    said = told(capsys)
    for sentence in (
        r"ok ipykernel \d+\.\d+\.\d+: views stay live",
        r"ok ComfyUI \d+\.\d+\.\d+ answers at http://127\.0\.0\.1:\d+, in \d+ ms",
        "ok previews: each job asks for its own",
        "ok its queue: 0 running, 0 waiting",
        "ok its websocket opens and speaks",
        "ok the clocks agree",
    ):
        assert re.search(sentence, said), sentence
    assert not re.search(r"\b(note|bad)\b", said)


def test_an_old_one_and_one_whose_websocket_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(Frames(version="0.3.40"), Faults(socket="refused")) as server:
        assert main(["doctor", server.url.replace("//", "//ann:s3cret@")]) == 1
    said = told(capsys)
    assert (
        "note previews: as the server was started; it does not tell how → start it with --preview-method auto"
        in said
    )
    assert "note it cannot stop a job by its id" in said
    assert "note its queue shows everybody the keys of Comfy accounts" in said
    assert "bad http" in said
    assert "its websocket does not open (HTTP 403). → a proxy must pass websockets on" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("options", "header", "value"),
    [
        (["--token", "t0ken"], "authorization", "Bearer t0ken"),
        (["--token", "-"], "authorization", "Bearer 4sked-for"),
        (["--header", "X-API-Key: s3cret", "--header", "X-B:  c "], "x-api-key", "s3cret"),
    ],
)
def test_credentials_go_with_everything_and_are_not_shown(
    options: list[str],
    header: str,
    value: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "4sked-for")
    with ScriptedServer() as server:
        assert main(["doctor", server.url, *options]) == 0
        seen = [entry.headers.get(header) for entry in server.log if entry.headers]
    assert set(seen) == {value}
    assert value.rpartition(" ")[2] not in told(capsys)


def test_a_header_that_cannot_be_sent_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "127.0.0.1:1", "--header", "no value: \x00"]) == 1
    assert capsys.readouterr().err.startswith("A header cannot be sent")


def test_the_address_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFY_NB_URL", "ftp://nowhere")
    assert main(["doctor"]) == 1
    assert "'ftp://nowhere' is not an address" in capsys.readouterr().err


def test_what_is_no_comfyui(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(faults=Faults(page=Page())) as server:
        assert main(["doctor", server.url]) == 1
    assert "it is not a ComfyUI" in told(capsys)


@pytest.mark.parametrize(
    ("version", "argv", "mark", "sentence"),
    [
        ("0.5.0", (), "ok", "each job asks for its own"),
        ("v0.45.2", ("main.py",), "ok", "each job asks for its own"),
        ("0.4.0", ("main.py", "--preview-method", "taesd"), "ok", "taesd for all jobs"),
        ("0.3.64", ("main.py", "--preview-method=auto", "--cpu"), "ok", "auto for all jobs"),
        ("0.3.64", ("main.py", "--preview-method"), "note", "off, as the server was started"),
        ("0.3.64", ("main.py", "--cpu"), "note", "off, as the server was started"),
        ("0.1.0", (), "note", "it does not tell how"),
        ("fork", (), "note", "it does not tell how"),
    ],
)
def test_previews(version: str, argv: tuple[str, ...], mark: str, sentence: str) -> None:
    finding = doctor._previews(version, argv)
    assert (finding.mark, bool(finding.remedy)) == (mark, mark == "note")
    assert sentence in finding.text


@pytest.mark.parametrize(
    ("url", "proxies", "sentence"),
    [
        ("http://gpu.example", {}, None),
        (
            "http://gpu.example",
            {"HTTP_PROXY": "http://ann:s3cret@proxy:3128"},
            "by the proxy http://…@proxy:3128",
        ),
        ("https://gpu.example", {"https_proxy": "proxy:3128"}, "by the proxy http://proxy:3128"),
        ("https://gpu.example", {"ALL_PROXY": "socks5://proxy"}, "by the proxy socks5://proxy"),
        ("https://gpu.example", {"HTTP_PROXY": "http://proxy:3128"}, None),
        ("http://gpu.example", {"HTTP_PROXY": "http://proxy", "NO_PROXY": "gpu.example"}, "directly"),
        ("http://127.0.0.1:8188", {"HTTP_PROXY": "http://proxy"}, "directly"),
    ],
)
def test_the_way_there(
    url: str, proxies: dict[str, str], sentence: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    found = doctor._way(Address.parse(url))
    assert (
        [sentence] == [sentence if sentence in f.text else f.text for f in found] if sentence else found == []
    )


@pytest.mark.parametrize(
    ("version", "mark"), [("6.31.0", "ok"), ("7.0.1", "bad"), ("7.4.0", "ok"), ("70.0.0", "ok")]
)
def test_the_kernel(version: str, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    (finding,) = doctor._kernel()
    assert finding.mark == mark
    assert version in finding.text
    assert ('pip install "ipykernel!=7.0.*"' in finding.remedy) == (mark == "bad")


def test_no_kernel_here_is_nothing_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert doctor._kernel() == []


def test_secrecy() -> None:
    assert doctor._secrecy(Address.parse("http://gpu.example/?token=abcd"))[0].remedy == "use https://"
    assert doctor._secrecy(Address.parse("https://gpu.example/?token=abcd")) == []
    assert doctor._secrecy(Address.parse("http://127.0.0.1/?token=abcd")) == []
    (anybody,) = doctor._secrecy(Address.parse("https://gpu.example", verify=False))
    assert "--ca" in anybody.remedy
    own = ssl.create_default_context()
    assert doctor._secrecy(Address.parse("https://gpu.example", verify=own)) == []


@pytest.mark.parametrize(
    ("date", "sentence"),
    [
        ("Thu, 01 Jan 2015 00:00:00 GMT", "the server's clock is -"),
        ("Fri, 01 Jan 2100 00:00:00 GMT", "the server's clock is +"),
        ("", "tells no time"),
        ("yesterday", "tells no time"),
    ],
)
def test_the_clock(date: str, sentence: str) -> None:
    finding = doctor._clock(doctor._Answer(0.1, date, ()))
    assert finding.mark == "note"
    assert sentence in finding.text


@pytest.mark.parametrize("seconds", [0.01, 2.0])
def test_a_slow_answer_is_noted(seconds: float) -> None:
    finding = doctor._speed(Address.parse("gpu"), "0.33.0", doctor._Answer(seconds, "", ()))
    assert finding.mark == ("ok" if seconds < 1 else "note")
    assert f"in {seconds * 1000:.0f} ms" in finding.text


@pytest.mark.parametrize("width", [32, 80])
def test_a_finding_fits_the_screen(width: int) -> None:
    shown = Finding("note", "a word " * 20, "do this " * 20).show(width)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("note a word")
    assert next(line for line in lines if "→" in line).startswith("     → do this")
    assert all(line.startswith("     ") for line in lines[1:])


def test_errors_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert main(["doctor", "--errors"]) == 0
    assert capsys.readouterr().out == errors.explain(72) + "\n"


class Silent(Frames):
    """Takes a job and tells nobody."""

    async def reply(self, stage: Stage, prompt: Posted) -> Page:
        return Page.json({"prompt_id": prompt.id, "number": prompt.number, "node_errors": {}})


def test_a_websocket_that_opens_and_tells_of_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(Silent()) as server:
        assert main(["doctor", server.url]) == 1
    text = told(capsys)
    assert "bad it took a job, and its websocket said nothing for 2 s" in text
    assert "another client that stopped reading" in text


def test_the_trial_leaves_no_job_behind(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(Frames(count=1000)) as server:
        assert main(["doctor", server.url]) == 0
        until(lambda: server._stage.remaining == 0)
    assert "ok it tells of a job as soon as it has it" in told(capsys)


def test_a_servers_words_are_text_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(Frames(version="0.9.9\x1b]0;owned\x07\u202e" + "9" * 100_000)) as server:
        main(["doctor", server.url])
        with cn.connect(server.url) as comfy:
            said = [capsys.readouterr().out, repr(comfy)]
    for text in said:
        assert "0.9.9␛]0;owned␇\ufffd999" in text.replace("\n", "")
        assert not set(text) & {"\x1b", "\x07", "\u202e"}
        assert len(text) < 3_000
