import json
import os
import queue
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from jupyter_client.session import Session

from tests.kernel.venvs import ROOT, python_for

VERSIONS = ["6.31.0", "7.2.0", "7.4.0"]

# A message on this comm stands for a click: its code runs in the kernel, as the callback of a button would.
PRELUDE = """
import asyncio, os, resource, signal, sys, threading, time
import comm
from comfy_nb.kernel.inbox import Inbox
from comfy_nb.kernel.pump import Waiter, live_messages, ping_main, wait_async

def _opened(link, _):
    @link.on_msg
    def _clicked(message):
        click = message["content"]["data"]
        after = time.time() - click["sent"]
        exec(click["code"], globals())
        link.send({"click": click["click"], "after": after})

comm.get_comm_manager().register_target("clicks", _opened)

def say(text):
    print(text)
    sys.stdout.flush()
"""

CLEAN = """
_inbox = Inbox.here()
assert (_inbox._readers, _inbox._lanes, len(_inbox._held)) == (0, 0, 0), vars(_inbox)
assert _inbox._taken._handled == []
assert _inbox._stream._recv_callback != _inbox._receive
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


class Outcome(NamedTuple):
    """What a cell printed, and the name of the error it ended with."""

    text: str
    error: str


class LiveKernel:
    """A kernel in a process of its own, and the front end that talks to it."""

    def __init__(self, python: Path, folder: Path) -> None:
        file, _ = write_connection_file(str(folder / "connection.json"), key=b"our key")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")}
        environment["JPY_PARENT_PID"] = str(os.getpid())  # it ends when we do
        with (folder / "log.txt").open("w") as log:
            self.process = subprocess.Popen(
                [python, "-m", "ipykernel_launcher", "-f", file],
                env=environment,
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.client = BlockingKernelClient(connection_file=file)
        self.client.load_connection_file()
        self.client.start_channels(hb=False)  # a busy machine's kernel may miss a heartbeat; it is not dead
        self.seen: list[dict[str, Any]] = []
        self.replies: dict[str, dict[str, Any]] = {}

    def prepare(self) -> None:
        """Wait until it has started, and open the way for clicks."""
        self.client.wait_for_ready(timeout=40)
        self.run(PRELUDE)
        self._send("comm_open", comm_id="test", target_name="clicks", data={})

    # What a front end sends

    def start(self, code: str, *, stop_on_error: bool = True) -> str:
        """Send a cell; it may have to wait for others."""
        return self.client.execute(code, stop_on_error=stop_on_error)

    def click(self, code: str = "", *, subshell: str | None = None) -> str:
        """Click a button whose callback is `code`, on a page that uses a subshell for its clicks if one is named."""
        click = f"click {len(self.seen)} {time.monotonic_ns()}"
        data = {"click": click, "code": code, "sent": time.time()}
        message = self.client.session.msg("comm_msg", {"comm_id": "test", "data": data})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return click

    def forge_click(self, code: str) -> None:
        """Click as somebody would who has no key of this kernel."""
        stranger = Session(key=b"another key", signature_scheme="hmac-sha256")
        data = {"click": "forged", "code": code, "sent": time.time()}
        stranger.send(self.client.shell_channel.socket, "comm_msg", {"comm_id": "test", "data": data})

    def make_subshell(self) -> str:
        """Make a subshell, as JupyterLab does for the clicks on widgets; its id."""
        message = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(message)
        return self.client.get_control_msg(timeout=5)["content"]["subshell_id"]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ask(self, kind: str, **content: Any) -> str:
        """Send a request on the shell channel; its `msg_id`."""
        return self._send(kind, **content)

    def _send(self, kind: str, **content: Any) -> str:
        message = self.client.session.msg(kind, content)
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    # What it hears

    def until(self, wanted: Callable[[dict[str, Any]], bool], limit: float = 5) -> dict[str, Any]:
        """The first message, of those seen and those to come, that is wanted."""
        for message in self.seen:
            if wanted(message):
                return message
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.client.get_iopub_msg(timeout=left)
            except queue.Empty:
                break
            self.seen.append(message)
            if wanted(message):
                return message
        raise TimeoutError(f"not heard in {limit} s")

    def says(self, text: str, limit: float = 5) -> dict[str, Any]:
        """Wait until some cell printed this."""
        return self.until(
            lambda m: m["msg_type"] == "stream" and text in m["content"]["text"].split("\n"), limit
        )

    def heard(self, click: str, limit: float = 1.5) -> float:
        """Wait until the callback of a click has ended; the seconds it took to reach it."""
        answer = self.until(
            lambda m: m["msg_type"] == "comm_msg" and m["content"]["data"].get("click") == click, limit
        )
        return answer["content"]["data"]["after"]

    def ended(self, request: str) -> bool:
        """Whether a request is known to have ended, without waiting."""
        return any(_is_idle(message, request) for message in self.seen)

    def idle(self, request: str, limit: float = 5) -> None:
        """Wait until the page is told that a request is done."""
        self.until(lambda m: _is_idle(m, request), limit)

    def reply(self, request: str, limit: float = 5) -> dict[str, Any]:
        """The reply to a request."""
        while request not in self.replies:
            message = self.client.get_shell_msg(timeout=limit)
            self.replies[message["parent_header"].get("msg_id", "")] = message
        return self.replies.pop(request)

    def finish(self, cell: str, limit: float = 10) -> Outcome:
        """Wait for a cell's end."""
        self.idle(cell, limit)
        # ipykernel before 7.4 may go deaf if a request arrives while it sends a reply: so we are polite.
        self.reply(cell, limit)
        own = [m for m in self.seen if m["parent_header"].get("msg_id") == cell]
        text = "".join(m["content"]["text"] for m in own if m["msg_type"] == "stream")
        errors = [m["content"]["ename"] for m in own if m["msg_type"] == "error"]
        return Outcome(text, errors[0] if errors else "")

    def run(self, code: str, limit: float = 10) -> str:
        """Run a cell to its end; what it printed. An error in it is one here."""
        outcome = self.finish(self.start(code), limit)
        assert not outcome.error, (outcome, self.seen[-8:])
        return outcome.text

    def value(self, expression: str) -> Any:
        """The value of an expression, by JSON."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def close(self) -> None:
        self.client.stop_channels()
        self.process.kill()
        self.process.wait()


def _is_idle(message: dict[str, Any], request: str) -> bool:
    return (
        message["msg_type"] == "status"
        and message["content"]["execution_state"] == "idle"
        and message["parent_header"].get("msg_id") == request
    )


@pytest.fixture(scope="session")
def kernels(tmp_path_factory) -> Iterator[Callable[[str], LiveKernel]]:
    """One running kernel of each version, started when first asked for and again after it has died."""
    running: dict[str, LiveKernel] = {}

    def get(version: str) -> LiveKernel:
        if version in running and running[version].process.poll() is None:
            return running[version]
        kernel = LiveKernel(python_for(version), tmp_path_factory.mktemp(f"kernel-{version}"))
        try:
            kernel.prepare()
        except BaseException:
            kernel.close()
            raise
        running[version] = kernel
        return kernel

    yield get
    for kernel in running.values():
        kernel.close()


@pytest.fixture(params=VERSIONS)
def kernel(request, kernels) -> Iterator[LiveKernel]:
    """A kernel that is found as clean after the test as before."""
    kernel: LiveKernel = kernels(request.param)
    kernel.seen.clear()
    yield kernel
    try:
        kernel.run(CLEAN, limit=5)
    except BaseException:
        kernel.close()  # the next test gets another
        raise
