"""Workflows in: how long the conversion takes, and what hostile files cost before they are refused."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from comfy_nb.errors import NotAWorkflow, WorkflowError
from comfy_nb.workflow import Workflow
from comfy_nb.workflow.convert import convert
from comfy_nb.workflow.ui import read_ui
from tests.benchmarks.budgets import budget
from tests.unit.conversion import classes, read
from tests.unit.spoiling import spoiled
from tests.unit.test_workflow_metadata import PROMPT, chunk, png
from tests.unit.test_workflow_ui import HOSTILE, whole

LARGEST = 100  # ms
REFUSAL, MEMORY = 5.0, 600 << 20  # seconds and bytes that a hostile file may cost


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """The best of several: the machine is shared."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def test_conversion_of_the_templates():
    templates, known = read("templates"), classes()
    taken = {
        name: seconds(lambda name=name, data=data: convert(read_ui(data, name), known))
        for name, data in templates.items()
    }
    ordered = sorted(taken, key=lambda name: taken[name])
    print(f"\n{len(taken)} templates: {sum(taken.values()) * 1000:.0f} ms in all")
    for what, name in (("median", ordered[len(ordered) // 2]), ("slowest", ordered[-1])):
        nodes = len(read("expected")[name])
        print(f"  {what}: {name}, {nodes} nodes in the prompt, {taken[name] * 1000:.1f} ms")
    budget("the largest", taken[ordered[-1]] * 1000, LARGEST)


def test_loading_the_largest_template(tmp_path):
    """From the file to the prompt: reading and checking the JSON, the classes of the whole server, converting."""
    name, data = max(read("templates").items(), key=lambda item: len(read("expected")[item[0]]))
    file = tmp_path / name
    file.write_text(json.dumps(data))
    best = seconds(lambda: Workflow.load(file, object_info=read("object_info")))
    print(f"\n{name}: {file.stat().st_size / 1000:.0f} kB, loaded in {best * 1000:.1f} ms")
    budget("the largest", best * 1000, LARGEST)


def gigabyte(folder: Path) -> Path:
    file = folder / "gigabyte.json"
    with file.open("wb") as out:
        out.write(b'{"nodes": [')
        out.truncate(1 << 30)
    return file


def header(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))


FILES: dict[str, Callable[[Path], object]] = {
    "1 GB of JSON": gigabyte,
    "60 MB of empty lists": lambda _: '{"nodes": [' + "[]," * 20_000_000 + "1]}",
    "just under 2,000,000 values": lambda _: '{"nodes": [' + '{"a":1},' * 999_000 + "1]}",
    "60 MB of text in one value": lambda _: '{"nodes": "' + "x" * 60_000_000 + '"}',
    "a million brackets": lambda _: "[" * 1_000_000,
    "a million objects in each other": lambda _: '{"a":' * 1_000_000,
    "a number of 100,000 digits": lambda _: (
        '{"1": {"class_type": "A", "inputs": {"a": ' + "9" * 100_000 + "}}}"
    ),
    "NaN in an input": lambda _: '{"1": {"class_type": "A", "inputs": {"a": NaN}}}',
    "a picture of 2^62 pixels": lambda _: b"\x89PNG\r\n\x1a\n" + header(2**31 - 1, 2**31 - 1),
    "a picture whose text unpacks to 1 GB": lambda _: png(
        chunk(b"zTXt", b"prompt\0\0" + bomb(1000)),
    ),
    "a picture of a million chunks": lambda _: png(chunk(b"teXt", b"") * 1_000_000),
    "a picture with 1,000 prompts": lambda _: png(chunk(b"tEXt", b"prompt\0{" + PROMPT.encode()) * 1000),
    **{name: lambda _, graph=graph: graph for name, (graph, sentence) in HOSTILE.items() if sentence},
}


def bomb(megabytes: int) -> bytes:
    """That much text, packed."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(b"[" * 1024**2) for _ in range(megabytes)) + packer.flush()


def refused(source: object) -> str:
    with pytest.raises(NotAWorkflow) as caught:
        Workflow.load(source, object_info=read("object_info"))
    return str(caught.value)


@pytest.mark.timeout(300)
def test_what_hostile_files_cost(tmp_path):
    print()
    for name, make in FILES.items():
        source = make(tmp_path)
        started = time.perf_counter()
        sentence = refused(source)
        taken = time.perf_counter() - started
        tracemalloc.start()
        refused(source)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"  {name}: {taken:.3f} s, {peak / 1e6:.1f} MB: {sentence.replace(str(tmp_path), '…')}")
        budget("a refusal", taken, REFUSAL, "s")
        assert peak < MEMORY, name
        assert "\n" not in sentence
        assert len(sentence) < 400


@pytest.mark.timeout(300)
def test_what_wrong_types_everywhere_cost():
    slowest = worst = 0.0
    sentences: set[str] = set()
    for seed in range(1000):
        graph = spoiled(whole(), seed)
        tracemalloc.start()
        started = time.perf_counter()
        try:
            Workflow.load(graph, object_info=read("object_info"), strict=False)
        except WorkflowError as error:
            sentences.add(str(error))
        slowest = max(slowest, time.perf_counter() - started)
        worst = max(worst, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    print(f"\n1,000 spoiled graphs: at most {slowest * 1000:.0f} ms and {worst / 1e6:.1f} MB")
    print(f"  refused with {len(sentences)} different sentences, such as: {min(sentences, key=len)}")
    budget("a refusal", slowest, REFUSAL, "s")
    assert worst < MEMORY
