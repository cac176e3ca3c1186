"""The store of bytes: caps, spilling, dropping, and letting go."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfy_nb import store as module
from comfy_nb.errors import OutputError
from comfy_nb.store import Blob, Store, configure, get_store


def folder(store: Store) -> Path:
    assert store._folder is not None
    return store._folder


def files(store: Store) -> int:
    return len(list(folder(store).iterdir())) if store._folder else 0


def test_bytes_come_back() -> None:
    store = Store()
    blob = store.put(b"abc", "outputs")
    assert (blob.data, blob.size) == (b"abc", 3)
    assert store.in_memory == {"steps": 0, "outputs": 3}
    assert store._folder is None  # no folder before it is needed
    assert repr(store.put(b"x" * 12345, "steps")) == "<Blob 12,345 bytes>"


def test_over_the_cap_the_least_recently_used_go_to_disk() -> None:
    store = Store(steps=10, outputs=100)
    first, second = store.put(b"1111", "steps"), store.put(b"2222", "steps")
    assert first.data == b"1111"  # read: the second is the least recently used now
    third = store.put(b"3333", "steps")
    assert store.in_memory["steps"] == 8
    assert [path.read_bytes() for path in folder(store).iterdir()] == [b"2222"]
    assert store.on_disk == 4
    assert [blob.data for blob in (first, second, third)] == [b"1111", b"2222", b"3333"]


def test_the_kinds_have_caps_of_their_own() -> None:
    store = Store(steps=4, outputs=100)
    outputs = [store.put(b"oooo", "outputs") for _ in range(5)]
    steps = [store.put(b"ssss", "steps") for _ in range(3)]
    assert store.in_memory == {"steps": 4, "outputs": 20}
    assert store.on_disk == 8
    assert {blob.data for blob in outputs} == {b"oooo"}
    assert {blob.data for blob in steps} == {b"ssss"}


def test_something_larger_than_the_cap_goes_to_disk_at_once() -> None:
    store = Store(steps=10)
    blob = store.put(b"x" * 11, "steps")
    assert (store.in_memory["steps"], store.on_disk) == (0, 11)
    assert blob.data == b"x" * 11


def test_over_the_disks_cap_the_oldest_are_dropped_and_say_so() -> None:
    store = Store(steps=0, spill=10)
    first, second, third = (store.put(bytes([digit]) * 4, "steps") for digit in b"123")
    assert (store.on_disk, files(store)) == (8, 2)
    assert (second.data, third.data) == (b"2222", b"3333")
    with pytest.raises(OutputError, match=r"disk for results are full.*comfy_nb\.configure\(spill=…\)"):
        _ = first.data
    huge = store.put(b"x" * 11, "steps")
    with pytest.raises(OutputError, match="are full"):
        _ = huge.data
    assert (second.data, third.data, store.on_disk) == (b"2222", b"3333", 8)


def test_what_goes_to_disk_goes_together_and_leaves_room_for_more() -> None:
    store = Store(steps=80)
    blobs = [store.put(bytes([digit]) * 4, "steps") for digit in range(21)]
    assert (store.in_memory["steps"], store.on_disk, files(store)) == (68, 16, 1)
    assert [set(blob.data) for blob in blobs] == [{digit} for digit in range(21)]
    del blobs[:3]
    assert (store.on_disk, files(store)) == (16, 1)  # one of the four is wanted still
    del blobs[0]
    assert (store.on_disk, files(store)) == (0, 0)


def test_into_memory_or_not_at_all() -> None:
    store = Store(steps=10)
    first, second = store.put_in_memory(b"1111", "steps"), store.put_in_memory(b"2222", "steps")
    assert store.put_in_memory(b"333", "steps") is None
    assert (first.data, second.data, store.in_memory["steps"], len(store._kind)) == (b"1111", b"2222", 8, 2)
    assert store._folder is None


def test_nobody_waits_for_somebody_elses_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(steps=8, outputs=8)
    old = [store.put(b"1111", "steps") for _ in range(2)]
    slow, done = threading.Event(), threading.Event()
    opened = Path.open

    def slowly(path: Path, mode: str) -> object:
        slow.set()
        assert done.wait(10)
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", slowly)
    writer = threading.Thread(target=store.put, args=(b"2222", "steps"))
    writer.start()
    assert slow.wait(10)
    assert store.put_in_memory(b"3333", "outputs").data == b"3333"
    assert old[0].data == b"1111", "which is being written"
    old[1].free()
    done.set()
    writer.join(10)
    monkeypatch.undo()
    assert old[0].data == b"1111"


def test_bytes_are_let_go_with_the_last_handle() -> None:
    store = Store(steps=4)
    kept, spilt = store.put(b"1111", "steps"), store.put(b"2222", "steps")
    assert (store.in_memory["steps"], files(store)) == (4, 1)
    del kept, spilt
    gc.collect()
    assert (store.in_memory["steps"], store.on_disk, files(store)) == (0, 0, 0)
    assert store._kind == {}


def test_free_lets_go_now_and_says_so() -> None:
    store = Store()
    blob = store.put(b"1111", "steps")
    blob.free()
    blob.free()
    assert store.in_memory["steps"] == 0
    with pytest.raises(OutputError, match="let go of on request"):
        _ = blob.data


def test_the_folder_goes_with_the_store() -> None:
    store = Store(steps=0)
    blob = store.put(b"1111", "steps")
    where = folder(store)
    assert where.exists()
    del blob, store
    gc.collect()
    assert not where.exists()


def test_a_full_disk_loses_nothing_that_was_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = Store(steps=4)
    old = store.put(b"1111", "steps")
    store._folder = tmp_path / "gone"  # as good as a full one: writing fails with OSError
    with pytest.raises(OSError, match="gone"):
        store.put(b"2222", "steps")
    gc.collect()
    assert old.data == b"1111"
    assert (store.in_memory["steps"], store.on_disk, store._files, len(store._kind)) == (4, 0, {}, 1)


def test_configure_sets_the_process_wide_caps() -> None:
    store = get_store()
    before = (dict(store.caps), store.spill_cap)
    try:
        configure(steps=1, outputs=2, spill=3)
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 2}, 3)
        configure(outputs=5)
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 5}, 3)
        for name in ("steps", "outputs", "spill"):
            with pytest.raises(ValueError, match=f"{name} is a size in bytes.*-1 was given"):
                configure(**{name: -1})
        assert (store.caps, store.spill_cap) == ({"steps": 1, "outputs": 5}, 3)
    finally:
        store.caps.update(before[0])
        store.spill_cap = before[1]


def test_the_defaults_are_those_of_the_design() -> None:
    store = Store()
    assert store.caps == {"steps": 64 << 20, "outputs": 128 << 20}
    assert store.spill_cap == 4 << 30
    assert get_store() is get_store() is module._store


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["put", "put", "read", "drop"]), st.integers(0, 30)), max_size=60),
    st.integers(0, 40),
    st.integers(0, 80),
)
def test_any_use_stays_within_the_caps_and_the_books_balance(
    actions: list[tuple[str, int]], memory: int, disk: int
) -> None:
    store = Store(steps=memory, spill=disk)
    blobs: list[tuple[Blob, bytes]] = []
    most = 0  # what there was at once: only where that was too much may something be dropped
    for index, (action, number) in enumerate(actions):
        if action == "put":
            data = bytes([index]) * number
            most = max(most, store.in_memory["steps"] + store.on_disk + number)
            blobs.append((store.put(data, "steps"), data))
        elif blobs and action == "read":
            blob, data = blobs[number % len(blobs)]
            try:
                assert blob.data == data
            except OutputError:
                assert most > disk
        elif blobs:
            del blobs[number % len(blobs)]
        assert store.in_memory["steps"] == sum(map(len, store._memory["steps"].values())) <= memory
        assert store.on_disk == sum(file.size for file in store._files.values()) <= disk
        assert files(store) == len(store._files)
        assert all(file.keys for file in store._files.values())
        assert set(store._kind) == set(store._memory["steps"]) | set(store._places)
        assert set(store._places) == {key for file in store._files.values() for key in file.keys}


def test_many_threads_at_once() -> None:
    store = Store(steps=1000, outputs=1000, spill=1 << 20)
    start = threading.Barrier(4, timeout=10)
    wrong: list[object] = []

    def use(kind: module.Kind, digit: int) -> None:
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

    threads = [
        threading.Thread(target=use, args=(kind, n)) for n, kind in enumerate(["steps", "outputs"] * 2, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    gc.collect()
    assert wrong == []
    assert store.in_memory == {"steps": 0, "outputs": 0}
    assert (store.on_disk, files(store)) == (0, 0)


def run(code: str) -> str:
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)]
    return subprocess.run(program, capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def test_the_folder_is_removed_at_exit() -> None:
    where = run("""
        from comfy_nb.store import configure, get_store
        configure(steps=0)
        blob = get_store().put(b"1111", "steps")
        print(get_store()._folder)
    """)
    assert "comfy_nb-" in where
    assert not Path(where).exists()


def test_a_forked_child_that_exits_removes_nothing() -> None:
    said = run("""
        import os, sys
        from comfy_nb.store import configure, get_store
        configure(steps=0)
        blob = get_store().put(b"1111", "steps")
        child = os.fork()
        if child == 0:
            sys.exit()
        os.waitpid(child, 0)
        print(blob.data)
    """)
    assert said == "b'1111'"
