"""A recorded run: everything that a job's viewers were told, in one file, and how to play it again with no server.

The file (`.cnrun`) is a zip: `run.json` holds the prompt, with the values of secret inputs blanked, and the events in
their wire form with their times; `blobs/<sha256>` holds the bytes that they refer to. Nothing is ever extracted to a
path that the file names, sizes are checked before anything is read, and all that is read is checked as what comes from
a server is.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from comfy_nb import events as ev
from comfy_nb.errors import NotARecording, OutputError
from comfy_nb.record import Record, Request
from comfy_nb.store import Blob, Kind, get_store
from comfy_nb.wire.fields import Malformed, loads
from comfy_nb.workflow.plan import make_plan
from comfy_nb.workflow.values import is_secret

__all__ = ["Log", "Recording", "read", "write"]

FORMAT, VERSION = "comfy_nb recorded run", 1
MAX_EVENTS = 100_000  # of one run
MAX_JSON = 64 << 20  # bytes of run.json
MAX_BYTES = 1 << 30  # of all blobs together
LABEL = "recorded run"  # where it runs, for people

Timed = tuple[float, ev.Event]


class Log:
    """A listener that remembers what was told, with its times; previews only by the steps that were kept of them."""

    def __init__(self, record: Record) -> None:
        """Remember what is told from now on, to the end."""
        self.began = record.at
        self.told: list[Timed] = []
        self._record = record
        self._stop = record.listen(self._hear)

    def _hear(self, event: ev.Event) -> None:
        if not isinstance(event, ev.Preview) and len(self.told) < MAX_EVENTS // 2:
            self.told.append((self._record.at - self.began, event))
        if self._record.run.ended:
            self._stop()


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run as it was read: what was sent, and what was told when, in seconds since the first event."""

    request: Request
    told: tuple[Timed, ...]

    def record(self, clock: Callable[[], float]) -> Record:
        """A record to which the events can be fed again."""
        return Record(self.request, server=LABEL, clock=clock)


def write(path: Path, record: Record, log: Log) -> Path:
    """Write a recorded run; takes a while: not for the loop. Steps that the store has dropped are left out."""
    request = record.request
    said: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "prompt_id": record.id,
        "title": record.plan.title,
        "titled": record.titled,
        "preview": request.preview,
        "prompt": _blanked(request.api),
    }
    forms: list[list[Any]] = []
    held: dict[str, bytes] = {}
    for at, event in _whole(log.told):
        forms.append([round(at, 4), ev.to_dict(event)])
        held |= {
            digest: data if isinstance(data, bytes) else data.data
            for digest, data in ev.blobs_of(event).items()
        }
    unfinished = path.with_name(f".{path.name}.part")
    with zipfile.ZipFile(unfinished, "w") as file:  # pictures are compressed already
        file.writestr("run.json", json.dumps(said | {"events": forms}), zipfile.ZIP_DEFLATED)
        for digest, data in held.items():
            file.writestr(f"blobs/{digest}", data)
    return unfinished.replace(path)


def read(path: Path) -> Recording:
    """Read a recorded run, which a stranger may have made. Raises `NotARecording`, with one sentence."""
    try:
        with zipfile.ZipFile(path) as file:
            return _read(file)
    except FileNotFoundError:
        raise NotARecording(f"There is no file {path}.") from None
    except (OSError, zipfile.BadZipFile, Malformed, NotImplementedError, RuntimeError) as error:
        raise NotARecording(f"{path.name} is no recorded run: {error}.") from error


# -- writing -------------------------------------------------------------------------------------------------------


def _whole(told: list[Timed]) -> Iterator[Timed]:
    """What was told, with each kept step after its preview, numbered anew, and without bytes that are gone."""
    count = 0
    for at, event in told:
        match event:
            case ev.StepKept(blob=blob):
                if (data := _data(blob)) is None:
                    continue
                count += 1
                yield at, ev.Preview(event.node_id, event.media_type, data, event.step, event.of)
                yield at, replace(event, number=count)
            case ev.OutputArrived(result=result) if result.blob is not None and _data(result.blob) is None:
                gone = "it was not kept any more when the run was saved"
                yield at, ev.OutputArrived(replace(result, blob=None, problem=gone))
            case _:
                yield at, event


def _data(blob: Blob) -> bytes | None:
    try:
        return blob.data
    except OutputError:
        return None


def _blanked(api: dict[str, Any]) -> dict[str, Any]:
    """The prompt without the values of secret inputs."""
    return {
        key: node
        | {"inputs": {name: "" if is_secret(name) else value for name, value in node["inputs"].items()}}
        for key, node in api.items()
    }


# -- reading -------------------------------------------------------------------------------------------------------


def _read(file: zipfile.ZipFile) -> Recording:
    sizes = {info.filename: info.file_size for info in file.infolist()}
    if sum(sizes.values()) > MAX_BYTES + MAX_JSON:
        raise Malformed(f"it unpacks to more than {MAX_BYTES >> 20} MB")
    said = loads(_member(file, sizes, "run.json", MAX_JSON))
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise Malformed("its run.json says nothing of one")
    if said.get("version") != VERSION:
        raise Malformed(
            f"it is of version {said.get('version')!r:.20}, and this comfy_nb reads version {VERSION}"
        )
    prompt, told = said.get("prompt"), said.get("events")
    prompt_id, title = said.get("prompt_id"), said.get("title")
    if not isinstance(prompt, dict) or not isinstance(told, list):
        raise Malformed("its prompt or its events are missing")
    if not isinstance(prompt_id, str) or not isinstance(title, str) or len(told) > MAX_EVENTS:
        raise Malformed("its id, its title or the number of its events make no sense")
    plan = make_plan(prompt, prompt_id, title=title or None)
    preview = "auto" if said.get("preview") != "none" else "none"
    request = Request(
        plan, cast("dict[str, Any]", prompt), preview=preview, titled=said.get("titled") is True
    )
    blobs: dict[tuple[str, Kind], Blob] = {}

    def fetch(digest: str, size: int, kind: Kind) -> Blob:
        if (digest, kind) not in blobs:
            data = _member(file, sizes, f"blobs/{digest}", MAX_BYTES)
            if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
                raise Malformed(f"the bytes of {digest[:12]}… are not those that its events refer to")
            blobs[digest, kind] = get_store().put(data, kind)
        return blobs[digest, kind]

    return Recording(request, tuple(_timed(entry, fetch) for entry in told))


def _timed(entry: Any, fetch: Callable[[str, int, Kind], Blob]) -> Timed:
    match entry:
        case [int() | float() as at, dict()] if at >= 0:
            form = cast("dict[str, Any]", entry[1])
            kind: Kind = "outputs" if form.get("k") == "OutputArrived" else "steps"
            return float(at), ev.from_dict(form, lambda digest, size: fetch(digest, size, kind))
        case _:
            raise Malformed("an event is no pair of a time and a form")


def _member(file: zipfile.ZipFile, sizes: dict[str, int], name: str, limit: int) -> bytes:
    """A member's bytes, never more than its own size says."""
    if sizes.get(name, limit + 1) > limit:
        raise Malformed(f"its {name} is missing, or larger than {limit >> 20} MB")
    with file.open(name) as member:
        return member.read(sizes[name])
