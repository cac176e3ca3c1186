"""The table of errors is complete, and each of them really comes and says what it says there."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import comfy_nb as cn
from comfy_nb import errors
from comfy_nb.loop import get_loop
from comfy_nb.server.process import EmbeddedServer
from comfy_nb.testing import Faults, Frames, Page, ScriptedServer
from tests.client.helpers import LIMIT, until

WORKFLOWS = Path(__file__).parents[1] / "data" / "workflows"
TABLE = {row.name: row for row in errors.explained()}
ABSTRACT = {"ComfyError", "JobError"}  # nothing raises these themselves
HELPERS = {"Explained", "Problem", "explain", "explained", "listing"}


@pytest.fixture(scope="module")
def embedded() -> Iterator[cn.Comfy]:
    with EmbeddedServer.start(step_time=0) as server, cn.connect(server.url) as comfy:
        yield comfy


@pytest.fixture
def workflow() -> cn.Workflow:
    return cn.Workflow.load(WORKFLOWS / "default.json")


# -- one function per error, which makes it happen -------------------------------------------------------------


def connection_failed(**_: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    cn.connect(f"http://127.0.0.1:{port}")


def server_error(**_: Any) -> None:
    with ScriptedServer() as server, cn.connect(server.url) as comfy:
        server.faults = Faults(page=Page.text("500 Internal Server Error", 500))
        comfy.attach("0447b7af-958e-4c14-8d75-8144f041cd8b")


def unsupported_kernel_error(monkeypatch: pytest.MonkeyPatch, **_: Any) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace(__version__="7.0.1"))
    running = SimpleNamespace(initialized=lambda: True, instance=object)
    monkeypatch.setitem(sys.modules, "ipykernel.kernelbase", SimpleNamespace(Kernel=running))
    cn.connect("http://127.0.0.1:8188")


def nesting_error(monkeypatch: pytest.MonkeyPatch, **_: Any) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # another test may have loaded it
    for package in ("nest_asyncio", "nest_asyncio2"):
        monkeypatch.setitem(sys.modules, package, None)
    cn.allow_nested_asyncio()


def blocking_call_error(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    job = embedded.submit(workflow)
    job.result(LIMIT)

    async def on_the_loop() -> None:
        job.result()

    get_loop().run(on_the_loop()).result(LIMIT)


def workflow_error(workflow: cn.Workflow, **_: Any) -> None:
    workflow.set({"KSampler.cfg": object()})


def not_a_workflow(**_: Any) -> None:
    cn.Workflow.load("missing.json")


def workflow_problems(embedded: cn.Comfy, **_: Any) -> None:
    graph = json.loads((WORKFLOWS / "ui_format.json").read_text())
    graph["nodes"][0]["type"] = "NoSuchClass"
    embedded.load(graph)


def unknown_node(workflow: cn.Workflow, **_: Any) -> None:
    _ = workflow["KSamplr"]


def unknown_input(workflow: cn.Workflow, **_: Any) -> None:
    _ = workflow["KSampler"].cgf


def ambiguous_name(workflow: cn.Workflow, **_: Any) -> None:
    _ = workflow["CLIPTextEncode"]


def workflow_invalid(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    embedded.submit(workflow, {"KSampler.cfg": 900}, check=False).result(LIMIT)


def execution_failed(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    large = {"width": 16384, "height": 16384, "batch_size": 64}
    embedded.submit(workflow, {f"Empty Latent Image.{name}": size for name, size in large.items()}).result(
        LIMIT
    )


def job_not_sent(**_: Any) -> None:
    with ScriptedServer() as server, cn.connect(server.url) as comfy:
        server.faults = Faults(socket="refused")
        server.drop()
        until(lambda: "reconnecting" in repr(comfy))
        job = comfy.submit(WORKFLOWS / "default.json")
        comfy.close()
        job.result(LIMIT)


def not_a_recording(**_: Any) -> None:
    cn.replay("missing.cnrun")


def unknown_step(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    job = embedded.submit(workflow, {"KSampler.seed": 99})
    job.result(LIMIT)
    job.steps.at(99)


def job_cancelled(**_: Any) -> None:
    with ScriptedServer(Frames(count=100_000, rate=50)) as server, cn.connect(server.url) as comfy:
        job = comfy.submit(lighthouse(), title="a lighthouse")
        until(lambda: job.snapshot().step > 0)
        job.interrupt()
        job.result(LIMIT)


def job_lost(**_: Any) -> None:
    with ScriptedServer() as server, cn.connect(server.url) as comfy:
        comfy.attach("11111111-1111-4111-8111-111111111111")


def job_not_started(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    cn.Job(workflow, embedded).result()


def output_error(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    _ = embedded.submit(workflow).result(LIMIT)["Nope"]


def not_one_image(embedded: cn.Comfy, workflow: cn.Workflow, **_: Any) -> None:
    _ = embedded.submit(workflow, {"Empty Latent Image.batch_size": 2}).image


def not_all_saved(tmp_path: Path, **_: Any) -> None:
    with ScriptedServer(Frames(count=1, rate=0)) as server, cn.connect(server.url) as comfy:
        jobs = [comfy.submit(lighthouse(), title=f"a lighthouse {n}") for n in (1, 2)]
        cn.wait(jobs, LIMIT)
        jobs[0].outputs[0]._result.blob.free()
        board = cn.JobBoard(comfy)
        try:
            board.save(tmp_path)
        finally:
            board.close()


def unknown_job(**_: Any) -> None:
    with ScriptedServer(Frames(count=1, rate=0)) as server, cn.connect(server.url) as comfy:
        comfy.submit(lighthouse(), title="a lighthouse").result(LIMIT)
        board = cn.JobBoard(comfy)
        try:
            _ = board["nope"]
        finally:
            board.close()


def unknown_workflow(**_: Any) -> None:
    with ScriptedServer() as server, cn.connect(server.url) as comfy:
        server.faults = Faults(page=Page.json(["old/sea.json", "portrait.json"]))
        _ = comfy.workflows()["potrait"]


def lighthouse() -> dict[str, Any]:
    return {"3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20}}}


RAISERS: dict[str, Callable[..., None]] = {
    name: globals()[re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()] for name in TABLE.keys() - ABSTRACT
}


# -- the table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(RAISERS))
def test_it_comes_and_says_what_the_table_says(
    name: str, embedded: cn.Comfy, workflow: cn.Workflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(errors.ComfyError) as caught:
        RAISERS[name](embedded=embedded, workflow=workflow, monkeypatch=monkeypatch, tmp_path=tmp_path)
    kinds = [kind.__name__ for kind in type(caught.value).__mro__]
    assert name in kinds[:2], "itself, or a kind of it that only the client knows"
    told = re.escape(TABLE[name].says).replace("…", ".*")
    assert re.fullmatch(told, " ".join(str(caught.value).split()), re.DOTALL), str(caught.value)


def test_the_table_has_every_public_error_once_and_nothing_else() -> None:
    rows = [row.name for row in errors.explained()]
    assert sorted(rows) == sorted(set(errors.__all__) - HELPERS)
    assert all(TABLE[name].says for name in TABLE.keys() - ABSTRACT)
    assert {name for name, value in vars(cn).items() if is_error(value)} <= set(rows)


def test_every_error_of_the_package_is_in_the_table_or_a_private_kind_of_one() -> None:
    for module in pkgutil.walk_packages(cn.__path__, "comfy_nb."):
        importlib.import_module(module.name)
    private = {
        "NoAnswer",
        "Refused",
        "TooMuch",
        "Unavailable",
    }  # what the client's own parts tell each other apart by
    assert {kind.__name__ for kind in kinds_of(errors.ComfyError)} - private == TABLE.keys() - {"ComfyError"}


def test_every_error_can_be_caught_by_its_public_name() -> None:
    assert {row.name for row in errors.explained()} <= set(cn.__all__)


def test_the_tree_is_the_tree_of_the_classes() -> None:
    path: list[type] = []
    for row in errors.explained():
        kind = getattr(errors, row.name)
        assert not row.depth or kind.__bases__[0] is path[row.depth - 1]
        path[row.depth :] = [kind]
        also = [base.__name__ for base in kind.__bases__ if base is not path[max(0, row.depth - 1)]]
        assert [name.rpartition(".")[2] for name in row.also.split(", ") if name] == [
            n for n in also if n != "Exception"
        ]


@pytest.mark.parametrize("width", [40, 72, 110])
def test_it_fits_the_screen_and_leaves_nothing_out(width: int) -> None:
    told = errors.explain(width)
    assert max(map(len, told.splitlines())) <= width
    words = " ".join(told.replace("»", "").split())
    for row in TABLE.values():
        for text in (row.name, row.when, row.says):
            assert " ".join(text.split()) in words or width == 40  # where a long word is cut


def test_what_is_said_of_workflows_begins_with_a_capital_and_ends_with_a_full_stop() -> None:
    kinds = {kind.__name__ for kind in kinds_of(errors.WorkflowError)} | {"WorkflowError"}
    said = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in pieces(call.args[0]))
        for file in Path(cn.__file__).parent.joinpath("workflow").glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in kinds - {"WorkflowProblems"}
        if isinstance(call.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert len(said) > 40
    assert [text for text in said if text[0].islower() or not text.endswith(".")] == []


def pieces(text: ast.expr) -> list[ast.expr]:
    return text.values if isinstance(text, ast.JoinedStr) else [text]


def is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def kinds_of(kind: type) -> set[type]:
    return {each for direct in kind.__subclasses__() for each in {direct, *kinds_of(direct)}}


# -- a rejected prompt, as text and as the panel of its view ---------------------------------------------------

FAULTS = {
    "KSampler.cfg": 900,
    "KSampler.sampler_name": "eulr",
    "KSampler.denoise": "much",
    "Load Checkpoint.ckpt_name": "nowhere.safetensors",
}
SAID_BY_US = [
    (
        "Load Checkpoint",
        "ckpt_name",
        "'nowhere.safetensors' is not on the server (allowed: 'demo-",
    ),
    ("KSampler", "cfg", "900.0 is too big (allowed: 0.0 to 100.0)"),
    ("KSampler", "sampler_name", "'eulr' is not in the list; the nearest are 'euler', "),
    ("KSampler", "denoise", "it is 'much', which is not a number (allowed: 0.0 to 1.0)"),
]
SAID_BY_THE_SERVER = [
    ("Load Checkpoint", "ckpt_name", '"nowhere.safetensors" is not in the list (allowed: demo-'),
    ("KSampler", "cfg", "900.0 is too big (allowed: 0.0 to 100.0)"),
    ("KSampler", "sampler_name", '"eulr" is not in the list'),
    ("KSampler", "denoise", '"much" is of the wrong type (allowed: 0.0 to 1.0)'),
]


@pytest.mark.parametrize("check", [True, False])
def test_a_rejection_names_each_node_and_input(
    check: bool, embedded: cn.Comfy, workflow: cn.Workflow
) -> None:
    job = embedded.submit(workflow, FAULTS, check=check)
    with pytest.raises(cn.WorkflowInvalid) as caught:
        job.result(LIMIT)
    panel: Any = job.view.get_state()["state"]["error"]
    lines = str(caught.value).splitlines()[1:]
    expected = SAID_BY_US if check else SAID_BY_THE_SERVER
    assert len(lines) == len(panel["problems"]) == len(expected)
    for label, name, said in expected:
        assert any(
            line.startswith(f"- {label} (node ") and f"input {name!r}: {said}" in line for line in lines
        )
        assert any(
            (one["label"], one["input"]) == (label, name) and one["message"].startswith(said)
            for one in panel["problems"]
        )
    assert panel["title"].endswith(" (and 3 more)")


def test_very_many_problems_make_a_short_text_and_are_all_there() -> None:
    problems = tuple(errors.Problem(f"fault {index}") for index in range(100_000))
    error = errors.WorkflowProblems("It cannot be converted", problems)
    lines = str(error).splitlines()
    assert lines[:2] == ["It cannot be converted:", "- fault 0"]
    assert lines[99:] == ["- fault 98", "- fault 99", "- … and 99,900 more, in .problems"]
    assert error.problems == problems
    assert str(errors.WorkflowProblems("x", problems[:100])).splitlines()[-1] == "- fault 99"
