"""The store of bytes: caps in memory and on disk, writing behind, dropping, and letting go."""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb import stock as books
from comfy_nb import store as module
from comfy_nb.errors import OutputError
from comfy_nb.spill import Folder
from comfy_nb.store import Blob, Kind, Store, configure, get_store

LIMIT = 10.0  # seconds that anything here may take
KINDS: tuple[Kind, ...] = ("outputs", "steps")
both = pytest.mark.parametrize("kind", KINDS)


def rest(store: Store) -> None:
    """Wait until everything that must go to the disk is there, or was refused, and all trash is gone."""
    for kind in KINDS:
        store.settled(kind).result(LIMIT)
    deadline = time.monotonic() + LIMIT
    while store._trash:
        store._writer.wake()
        assert time.monotonic() < deadline
        time.sleep(0.001)


def put(store: Store, data: bytes, kind: Kind = "steps") -> Blob:
    """As if the disk were fast."""
    blob = store.put(data, kind)
    rest(store)
    return blob


def folder(store: Store) -> Path:
    assert store._folder.path is not None
    return store._folder.path


def files(store: Store) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder(store).iterdir()) if store._folder.path else []


def here(blob: Blob) -> bool:
    return not blob.problem


class Gate:
    """A disk that hangs until it is let through, or fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.through, self.fault = threading.Event(), threading.Event(), None
        write = Folder.write

        def gated(folder: Folder, pieces: Collection[bytes]) -> Path:
            self.asked.set()
            assert self.through.wait(LIMIT)
            if self.fault is not None:
                raise self.fault
            return write(folder, pieces)

        monkeypatch.setattr(Folder, "write", gated)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """The disk hangs."""
    made = Gate(monkeypatch)
    yield made
    made.through.set()


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """125 % of a cap is 125 %, also of a few bytes."""
    monkeypatch.setattr(books, "LEEWAY", 0)


# -- the caps ----------------------------------------------------------------------------------------------------------


def test_bytes_come_back() -> None:
    store = Store()
    blob = store.put(b"abc", "outputs")
    assert (blob.data, blob.size, blob.problem) == (b"abc", 3, "")
    assert store.in_memory == {"steps": 0, "outputs": 3}
    assert store._folder.path is None  # no folder and no thread before they are needed
    assert store._writer is None
    assert repr(store.put(b"x" * 12345, "steps")) == "<Blob 12,345 bytes>"


def test_a_blob_has_a_digest_wherever_it_is() -> None:
    store = Store(steps=4)
    spilt, kept = put(store, b"1111"), put(store, b"222")
    assert (store.in_memory["steps"], store.on_disk["steps"]) == (3, 4)
    for blob in (spilt, kept):
        assert blob.digest == hashlib.sha256(blob.data).hexdigest()
    kept.free()
    assert kept.digest == hashlib.sha256(b"222").hexdigest(), "known already"
    gone = put(store, b"3")
    gone.free()
    with pytest.raises(OutputError, match="let go of on request"):
        _ = gone.digest


@both
def test_at_the_cap_nothing_is_written_and_a_byte_more_is(kind: Kind) -> None:
    store = Store(steps=10, outputs=10)
    blobs = [put(store, b"1" * 5, kind), put(store, b"2" * 5, kind)]
    assert (store.in_memory[kind], store.on_disk[kind], store._folder.path) == (10, 0, None)
    blobs.append(put(store, b"3", kind))
    assert (store.in_memory[kind], store.on_disk[kind]) == (6, 5)
    assert [blob.data for blob in blobs] == [b"1" * 5, b"2" * 5, b"3"]


def test_over_the_cap_the_least_recently_used_go_to_disk() -> None:
    store = Store(steps=10)
    first, second = put(store, b"1111"), put(store, b"2222")
    assert first.data == b"1111"  # read: the second is the least recently used now
    third = put(store, b"3333")
    assert (store.in_memory["steps"], store.on_disk["steps"], files(store)) == (8, 4, [b"2222"])
    assert [blob.data for blob in (first, second, third)] == [b"1111", b"2222", b"3333"]


def test_the_kinds_have_caps_of_their_own() -> None:
    store = Store(steps=4, outputs=100)
    outputs = [put(store, b"oooo", "outputs") for _ in range(5)]
    steps = [put(store, b"ssss") for _ in range(3)]
    assert store.in_memory == {"steps": 4, "outputs": 20}
    assert store.on_disk == {"steps": 8, "outputs": 0}
    assert {blob.data for blob in outputs} == {b"oooo"}
    assert {blob.data for blob in steps} == {b"ssss"}


def test_something_larger_than_the_cap_goes_to_disk_at_once() -> None:
    store = Store(steps=10)
    blob = put(store, b"x" * 11)
    assert (store.in_memory["steps"], store.on_disk["steps"], blob.data) == (0, 11, b"x" * 11)


def test_what_goes_to_disk_goes_together_and_leaves_room_for_more() -> None:
    store = Store(steps=80)
    blobs = [put(store, bytes([digit]) * 4) for digit in range(21)]
    assert (store.in_memory["steps"], store.on_disk["steps"], len(files(store))) == (68, 16, 1)
    assert [set(blob.data) for blob in blobs] == [{digit} for digit in range(21)]
    del blobs[:3]
    rest(store)
    assert (store.on_disk["steps"], len(files(store))) == (16, 1)  # one of the four is wanted still
    del blobs[0]
    rest(store)
    assert (store.on_disk["steps"], files(store)) == (0, [])


@both
def test_at_the_disks_cap_nothing_is_dropped_and_a_byte_more_drops_the_oldest(kind: Kind) -> None:
    store = Store(steps=0, outputs=0)
    store.set_caps(spill=40)  # 10 for steps, 30 for outputs
    part = 5 if kind == "steps" else 15
    first, second = put(store, b"1" * part, kind), put(store, b"2" * part, kind)
    assert (store.on_disk[kind], len(files(store)), here(first)) == (2 * part, 2, True)
    third = put(store, b"3", kind)
    assert (store.on_disk[kind], files(store)) == (part + 1, [b"2" * part, b"3"])
    assert (second.data, third.data, store.dropped[kind]) == (b"2" * part, b"3", 1)
    with pytest.raises(
        OutputError, match=rf"not kept.*disk for {kind} are full.*comfy_nb\.configure\(spill=…\)"
    ):
        _ = first.data
    assert first.problem.endswith("configure(spill=…).")
    largest, larger = put(store, b"x" * 2 * part, kind), put(store, b"y" * (2 * part + 1), kind)
    assert "are full" in larger.problem
    assert (largest.data, store.on_disk[kind]) == (b"x" * 2 * part, 2 * part)


def test_steps_never_push_out_outputs_nor_these_those() -> None:
    store = Store(steps=0, outputs=0, spill=400)
    outputs = [put(store, b"o" * 50, "outputs") for _ in range(4)]
    steps = [put(store, b"s" * 50) for _ in range(60)]
    assert {blob.data for blob in outputs} == {b"o" * 50}
    assert [here(blob) for blob in steps] == [False] * 58 + [True] * 2
    outputs += [put(store, b"o" * 50, "outputs") for _ in range(60)]
    assert [here(blob) for blob in steps[-2:]] == [True, True]
    assert [here(blob) for blob in outputs] == [False] * 58 + [True] * 6
    assert store.dropped == {"steps": 58, "outputs": 58}
    assert store.on_disk == {"steps": 100, "outputs": 300}


def test_what_is_too_large_for_the_disk_goes_alone_if_that_is_enough() -> None:
    store = Store(steps=10, spill=16)  # 4 for steps
    large, small = put(store, b"x" * 6), put(store, b"1111")
    large_too = put(store, b"y" * 6)
    assert [here(blob) for blob in (large, small, large_too)] == [False, True, True]
    assert (store.in_memory["steps"], store.on_disk["steps"]) == (10, 0)


def test_what_waited_together_goes_to_the_disk_in_parts_that_fit(gate: Gate) -> None:
    store = Store(steps=0, spill=40)  # 10 for steps
    blobs = [store.put(b"0000", "steps")]
    assert gate.asked.wait(LIMIT)
    blobs += [store.put(b"1111", "steps") for _ in range(4)]
    gate.through.set()
    rest(store)
    assert [here(blob) for blob in blobs] == [False] * 3 + [True] * 2
    assert store.on_disk["steps"] == 8


def test_what_is_dropped_and_held_by_nobody_counts_nowhere() -> None:
    store = Store(steps=0, spill=40)
    for _ in range(20):
        put(store, b"x" * 5)
    gc.collect()
    assert (store.dropped["steps"], store._of) == (0, {})


# -- a disk that is slow ----------------------------------------------------------------------------------------------


def test_nobody_waits_for_the_disk(gate: Gate) -> None:
    store = Store(steps=8, outputs=8)
    old = [store.put(b"1111", "steps") for _ in range(3)]
    assert gate.asked.wait(LIMIT)
    assert store.put(b"2222", "steps").data == b"2222"
    results = [store.put(b"3333", "outputs") for _ in range(3)]
    assert [blob.data for blob in results] == [b"3333"] * 3
    assert old[0].data == b"1111", "which is being written"
    assert old[0].digest
    old[1].free()
    assert not store.settled("outputs").done()
    gate.through.set()
    rest(store)
    assert [blob.data for blob in (old[0], old[2], *results)] == [b"1111", b"1111", *[b"3333"] * 3]
    assert store.dropped == {"steps": 0, "outputs": 0}


def test_steps_beyond_125_percent_are_dropped_oldest_first_and_say_so(gate: Gate, strict: None) -> None:
    store = Store(steps=100)
    blobs = [
        store.put(b"0" * 20, "steps") for _ in range(6)
    ]  # 120: over the cap, so the first two are written
    assert gate.asked.wait(LIMIT)
    blobs.append(store.put(b"0" * 5, "steps"))  # 125
    assert (store.in_memory["steps"], all(map(here, blobs)), store.behind("steps")) == (125, True, False)
    blobs.append(store.put(b"0", "steps"))  # 126
    assert [here(blob) for blob in blobs] == [True, True, False, *[True] * 5]
    assert (store.in_memory["steps"], store.dropped["steps"]) == (106, 1)
    with pytest.raises(OutputError, match="the disk was too slow to take them"):
        _ = blobs[2].data
    gate.through.set()
    rest(store)
    assert sum(map(here, blobs)) == 7
    assert {blob.data for blob in blobs[:2]} == {b"0" * 20}


def test_a_hanging_disk_and_a_flood_of_steps_take_no_more_memory(gate: Gate, strict: None) -> None:
    store = Store(steps=1000)
    blobs = [store.put(b"0" * 100, "steps") for _ in range(500)]
    assert store.in_memory["steps"] <= 1250
    assert here(blobs[-1])
    assert store.dropped["steps"] == sum(not here(blob) for blob in blobs) == 488
    gate.through.set()
    rest(store)


def test_the_newest_step_stays_however_large(gate: Gate, strict: None) -> None:
    store = Store(steps=10)
    large = store.put(b"0" * 100, "steps")
    assert here(large)
    assert gate.asked.wait(LIMIT)
    small = store.put(b"1", "steps")
    assert (here(large), here(small)) == (True, True), "it is being written"
    gate.through.set()
    rest(store)
    assert (large.data, small.data) == (b"0" * 100, b"1")


def test_small_caps_have_a_leeway_of_a_megabyte(gate: Gate) -> None:
    store = Store(steps=0, outputs=100 << 20)
    blobs = [store.put(b"0" * (100 << 10), "steps")]
    assert gate.asked.wait(LIMIT)
    blobs += [store.put(b"0" * (100 << 10), "steps") for _ in range(9)]
    assert all(map(here, blobs))
    blobs.append(store.put(b"0" * (100 << 10), "steps"))
    assert [here(blob) for blob in blobs] == [True, False, *[True] * 9]
    assert store._stocks["outputs"].most == 125 << 20
    gate.through.set()
    rest(store)


def test_outputs_are_not_dropped_for_slowness_and_their_maker_can_wait(gate: Gate, strict: None) -> None:
    store = Store(outputs=100)
    blobs = [store.put(b"0" * 25, "outputs") for _ in range(5)]
    assert (store.in_memory["outputs"], store.behind()) == (125, False)
    blobs.append(store.put(b"0", "outputs"))
    assert store.behind()
    waiting = store.settled()
    assert not waiting.done()
    with contextlib.suppress(TimeoutError):
        waiting.result(0.01)
    gate.through.set()
    waiting.result(LIMIT)
    assert not store.behind()
    assert all(map(here, blobs))
    assert store.in_memory["outputs"] <= 100


def test_whoever_waits_may_give_up_and_may_put_something_when_told(gate: Gate) -> None:
    store = Store(outputs=4)
    old = [store.put(b"0000", "outputs") for _ in range(2)]
    given_up, waiting = store.settled(), store.settled()
    assert given_up.cancel()
    new: list[Blob] = []
    waiting.add_done_callback(lambda _: new.append(store.put(b"1111", "outputs")))
    gate.through.set()
    rest(store)
    assert [blob.data for blob in (*old, *new)] == [b"0000", b"0000", b"1111"]


# -- a disk that fails ------------------------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing_that_fits_into_memory_and_says_what_it_did_not_take(
    gate: Gate, strict: None
) -> None:
    store = Store(steps=100, outputs=100)
    gate.through.set()
    gate.fault = OSError(errno.ENOSPC, "No space left on device")
    outputs = [put(store, bytes([digit]) * 25, "outputs") for digit in range(8)]
    assert [here(blob) for blob in outputs] == [True] * 5 + [False] * 3, "125 % stay, the newest go"
    with pytest.raises(OutputError, match=r"does not take them \(No space left on device\)"):
        _ = outputs[5].data
    steps = [put(store, b"s" * 25) for _ in range(8)]
    assert [here(blob) for blob in steps] == [False] * 3 + [True] * 5, "of steps, the oldest go"
    assert "No space left on device" in steps[0].problem
    assert store.dropped == {"steps": 3, "outputs": 3}
    assert files(store) == []
    gate.fault = None  # somebody made room
    outputs.append(put(store, b"9" * 25, "outputs"))
    assert (here(outputs[-1]), store.behind()) == (True, False)
    assert store.in_memory["outputs"] <= 100
    assert outputs[0].data == b"\0" * 25


def test_one_kind_that_the_disk_refuses_does_the_other_no_harm(
    monkeypatch: pytest.MonkeyPatch, strict: None
) -> None:
    store = Store(steps=4, outputs=4)
    write = Folder.write

    def picky(folder: Folder, pieces: Collection[bytes]) -> Path:
        if any(piece.startswith(b"s") for piece in pieces):
            raise OSError(errno.EIO, "Input/output error")
        return write(folder, pieces)

    monkeypatch.setattr(Folder, "write", picky)
    steps = [put(store, b"ssss") for _ in range(5)]
    outputs = [put(store, b"oooo", "outputs") for _ in range(5)]
    assert {blob.data for blob in outputs} == {b"oooo"}
    assert store.on_disk == {"steps": 0, "outputs": 16}
    assert [here(blob) for blob in steps] == [False] * 4 + [True]


def test_nowhere_to_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file" / "folder"))
    store = Store(outputs=0)
    assert "does not take them (Not a directory)" in put(store, b"x" * (2 << 20), "outputs").problem
    assert here(put(store, b"x" * (1 << 20), "outputs")), "what the leeway has room for stays in memory"


def test_a_write_that_fails_in_the_middle_leaves_no_half_file() -> None:
    said = run("""
        import os, resource, signal
        from comfy_nb.spill import Folder
        folder = Folder()
        first = folder.write([b"1111"])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            folder.write([bytes(60_000)] * 3)
        except OSError as error:
            print(error.strerror, os.listdir(first.parent), first.read_bytes())
    """)
    assert said == "File too large ['0'] b'1111'"


def test_a_name_that_is_taken_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(outputs=0)
    kept = put(store, b"1111", "outputs")
    names = iter(["0", "7"])  # the first is taken: opening it fails
    monkeypatch.setattr(store._folder, "_names", names)
    blob = put(store, b"x" * (2 << 20), "outputs")
    assert "File exists" in blob.problem
    assert kept.data == b"1111", "and what has that name is not harmed"
    assert put(store, b"2222", "outputs").data == b"2222"


@both
def test_a_folder_that_somebody_cleaned_comes_back(kind: Kind) -> None:
    store = Store(steps=4, outputs=4)
    spilt, kept = put(store, b"1111", kind), put(store, b"2222", kind)
    assert store.on_disk[kind] == 4
    old = folder(store)
    shutil.rmtree(old)
    with pytest.raises(OutputError, match="somebody emptied the folder for temporary files"):
        _ = spilt.data
    assert (store.on_disk[kind], store.dropped[kind]) == (0, 1)
    third = put(store, b"3333", kind)
    assert folder(store) != old
    assert (kept.data, third.data) == (b"2222", b"3333")
    assert store.on_disk[kind] == 4


def test_what_went_with_a_cleaned_folder_is_found_out_when_the_next_is_written() -> None:
    store = Store(steps=0, outputs=0)
    spilt = [put(store, b"1111", "outputs"), put(store, b"2222")]
    shutil.rmtree(folder(store))
    assert put(store, b"3333", "outputs").data == b"3333"
    rest(store)
    deadline = time.monotonic() + LIMIT
    while store.on_disk["steps"]:  # it looks after the bytes are safe
        assert time.monotonic() < deadline
    assert ["somebody emptied" in blob.problem for blob in spilt] == [True, True]


def test_also_the_folder_of_all_temporary_files_may_be_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "session"))
    store = Store(outputs=0)
    assert put(store, b"1111", "outputs").data == b"1111"
    shutil.rmtree(tmp_path / "session")
    assert put(store, b"2222", "outputs").data == b"2222"
    assert folder(store).parent == tmp_path / "session"


def test_one_file_that_is_gone_or_cut_or_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(outputs=0)
    gone, cut, unread = (put(store, bytes([digit]) * 4, "outputs") for digit in b"123")
    for path in folder(store).iterdir():
        if path.read_bytes() == b"1111":
            path.unlink()
        elif path.read_bytes() == b"2222":
            path.write_bytes(b"22")
    with pytest.raises(OutputError, match="somebody emptied"):
        _ = gone.data
    with pytest.raises(OutputError, match="somebody cut"):
        _ = cut.data
    assert store.dropped["outputs"] == 2

    def unreadable(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", unreadable)
        with pytest.raises(OutputError, match=r"cannot be read: Input/output error\."):
            _ = unread.data
    assert unread.data == b"3333", "which may have been for a moment"


def test_without_a_thread_what_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch, strict: None) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    store = Store(outputs=4)
    kept, lost = store.put(b"1111", "outputs"), store.put(b"2222", "outputs")
    store.settled().result(0)
    assert (kept.data, "can't start new thread" in lost.problem) == (b"1111", True)


# -- letting go -------------------------------------------------------------------------------------------------------


def test_bytes_are_let_go_with_the_last_handle() -> None:
    store = Store(steps=4)
    spilt, kept = put(store, b"1111"), put(store, b"2222")
    assert (store.in_memory["steps"], len(files(store))) == (4, 1)
    del kept, spilt
    gc.collect()
    rest(store)
    assert (store.in_memory["steps"], store.on_disk["steps"], files(store), store._of) == (0, 0, [], {})
    assert store.dropped["steps"] == 0


def test_free_lets_go_now_and_says_so() -> None:
    store = Store()
    blob = store.put(b"1111", "steps")
    blob.free()
    blob.free()
    assert store.in_memory["steps"] == 0
    with pytest.raises(OutputError, match="let go of on request"):
        _ = blob.data
    assert "let go of on request" in blob.problem


def test_a_finalizer_in_the_middle_of_any_line_does_no_harm() -> None:
    store = Store(steps=8)
    first = store.put(b"1111", "steps")
    with store._books():
        first.free()  # as a finalizer would, on the very thread that has the lock
        assert store.in_memory["steps"] == 4, "it waits for its turn"
    assert (store.in_memory["steps"], store._of) == (0, {})


def test_what_is_let_go_of_while_it_is_written_is_not_kept(gate: Gate) -> None:
    store = Store(steps=4)
    blobs = [store.put(b"1111", "steps") for _ in range(2)]
    assert gate.asked.wait(LIMIT)
    blobs.clear()
    gate.through.set()
    rest(store)
    assert (store.in_memory["steps"], store.on_disk["steps"], files(store), store._of) == (0, 0, [], {})


def test_the_folder_and_the_thread_go_with_the_store() -> None:
    store = Store(steps=0)
    blob = put(store, b"1111")
    where, writer = folder(store), store._writer
    assert where.exists()
    del blob, store
    gc.collect()
    writer.join(LIMIT)
    assert not writer.is_alive()
    assert not where.exists()


# -- the process's own ------------------------------------------------------------------------------------------------


def test_configure_sets_the_process_wide_caps() -> None:
    store = get_store()
    before, spill = store.caps, store.spill_cap
    try:
        configure(steps=1, outputs=2, spill=30)
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 2}, 30)
        assert {kind: stock.disk_cap for kind, stock in store._stocks.items()} == {"steps": 7, "outputs": 23}
        configure(outputs=5)
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 5}, 30)
        for name in ("steps", "outputs", "spill"):
            with pytest.raises(ValueError, match=f"{name} is a size in bytes.*-1 was given"):
                configure(**{name: -1})
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 5}, 30)
        configure(steps=0, outputs=0)
        assert store.caps == {"steps": 0, "outputs": 0}
    finally:
        store.set_caps(**before, spill=spill)


def test_the_defaults_are_those_of_the_design() -> None:
    store = Store()
    assert store.caps == {"steps": 64 << 20, "outputs": 128 << 20}
    assert store.spill_cap == 4 << 30
    assert {kind: stock.disk_cap >> 20 for kind, stock in store._stocks.items()} == {
        "steps": 1024,
        "outputs": 3072,
    }
    assert get_store() is get_store() is module._store


ACTIONS = st.tuples(
    st.sampled_from(["put", "put", "read", "drop", "clean"]), st.sampled_from(KINDS), st.integers(0, 30)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=60), st.integers(0, 40), st.integers(0, 40), st.integers(0, 240))
def test_any_use_stays_within_the_caps_and_the_books_balance(
    actions: list[tuple[str, Kind, int]], steps: int, outputs: int, disk: int
) -> None:
    store = Store(steps=steps, outputs=outputs, spill=disk)
    caps: dict[Kind, int] = {"steps": steps, "outputs": outputs}
    disks: dict[Kind, int] = {"steps": disk // 4, "outputs": disk - disk // 4}
    held: list[tuple[Blob, Kind, bytes]] = []
    most: dict[Kind, int] = dict.fromkeys(
        KINDS, 0
    )  # at once: only where that was too much may be dropped for room
    cleaned = False
    for index, (action, kind, number) in enumerate(actions):
        if action == "put":
            data = bytes([index]) * number
            most[kind] = max(most[kind], store.in_memory[kind] + store.on_disk[kind] + number)
            held.append((put(store, data, kind), kind, data))
        elif action == "clean" and store._folder.path and number > 25:
            shutil.rmtree(store._folder.path, ignore_errors=True)  # or it was cleaned before
            cleaned = True
        elif held and action == "read":
            blob, of, data = held[number % len(held)]
            problem = ""
            try:
                assert blob.data == data
            except OutputError as error:
                problem = str(error)
            full = "are full" in problem and most[of] > disks[of]
            assert full or ("emptied" in problem and cleaned) or not problem
            assert blob.problem == problem
            del blob
        elif held:
            del held[number % len(held)]
        rest(store)
        for each, stock in store._stocks.items():
            assert store.in_memory[each] == sum(map(len, stock.memory.values())) <= caps[each]
            assert store.on_disk[each] == sum(size for size, _ in stock.files._files.values()) <= disks[each]
            assert all(keys for _, keys in stock.files._files.values())
            assert set(stock.files._places) == {
                key for _, keys in stock.files._files.values() for key in keys
            }
            mine = {key for key, of in store._of.items() if of is stock}
            assert mine == {*stock.memory, *stock.files._places, *stock.gone}
            assert len(mine) == len(stock.memory) + len(stock.files._places) + len(stock.gone)
        if not cleaned:
            assert len(files(store)) == sum(len(stock.files) for stock in store._stocks.values())
        assert set(store._of) == {blob._key for blob, _, _ in held}


def test_many_threads_at_once() -> None:
    store = Store(steps=1000, outputs=1000, spill=1 << 20)
    start = threading.Barrier(4, timeout=LIMIT)
    wrong: list[object] = []

    def use(kind: Kind, digit: int) -> None:
        try:
            start.wait()
            held: list[Blob] = []
            for index in range(150):
                held.append(store.put(bytes([digit]) * 50, kind))
                if index % 3 == 0:
                    held.pop(0)
                wrong.extend(blob.data for blob in held[-2:] if set(blob.data) != {digit})
        except Exception as error:  # noqa: BLE001 - reported below
            wrong.append(error)

    threads = [threading.Thread(target=use, args=(kind, n)) for n, kind in enumerate(KINDS * 2, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    gc.collect()
    rest(store)
    assert wrong == []
    assert store.in_memory == store.on_disk == store.dropped == {"steps": 0, "outputs": 0}
    assert (files(store), store._of) == ([], {})


def run(code: str) -> str:
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    return subprocess.run(program, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_the_folder_is_removed_at_exit_also_while_it_is_written_to() -> None:
    where = run("""
        from comfy_nb.store import configure, get_store
        configure(outputs=0)
        blob = get_store().put(b"1111", "outputs")
        get_store().settled().result(10)
        print(get_store()._folder.path)
        more = [get_store().put(bytes(1 << 20), "outputs") for _ in range(50)]
    """)
    assert "comfy_nb-" in where
    assert not Path(where).exists()


def test_a_forked_child_has_a_folder_of_its_own_and_removes_nothing_of_its_parents() -> None:
    said = run("""
        import os, sys
        from comfy_nb.store import configure, get_store
        configure(outputs=0)
        store = get_store()
        blob, other = store.put(b"1111", "outputs"), store.put(b"2222", "outputs")
        store.settled().result(10)
        parents = store._folder.path
        child = os.fork()
        if child == 0:
            other.free()
            new = store.put(b"3333", "outputs")
            store.settled().result(10)
            sys.exit(0 if new.data == b"3333" and blob.data == b"1111" and store._folder.path != parents else 1)
        _, status = os.waitpid(child, 0)
        print(status, blob.data, other.data)
    """)
    assert said == "0 b'1111' b'2222'"
