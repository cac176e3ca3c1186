"""The embedded server as a program: `python -m comfy_nb.server`.

Prints one line of JSON, {"url": …, "pid": …} and perhaps "token", when it serves. Ends on SIGINT or SIGTERM,
and, if its standard input is a pipe, when that closes: so also when the process that started it was killed. As the
child of `cn.demo()` it ignores SIGINT, and ends with its parent.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from comfy_nb.server import parent
from comfy_nb.server.logs import log_to_stderr
from comfy_nb.server.names import WORLDS

__all__ = ["main"]

# Once asked to end, open requests and a running step get this many seconds.
GRACE = 1.0
PACKAGE = "comfyui-frontend-package"
TOKEN = "COMFY_NB_TOKEN"  # noqa: S105 - the name of a variable


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; ends the program with a message if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="comfy-nb serve", description="ComfyUI's protocol over exact diffusion: no weights, no GPU."
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one (default)")
    parser.add_argument(
        "--step-time",
        type=_step_time,
        default=0.12,
        help="seconds that a sampling step takes at least (0 to 2)",
    )
    parser.add_argument(
        "--world",
        choices=WORLDS,
        default=WORLDS[0],
        help="what checkpoints with names of well-known models stand for (default: %(default)s)",
    )
    parser.add_argument(
        "--preview-method",
        choices=("none", "auto"),
        default="auto",
        help="live previews for prompts that do not say (default: auto; ComfyUI's own default is none)",
    )
    parser.add_argument(
        "--frontend",
        action="store_true",
        help="also serve ComfyUI's own front end, from its package comfyui-frontend-package",
    )
    parser.add_argument(
        "--token",
        action="store_true",
        help=f"ask every request for a token, against other users of this machine: ${TOKEN}, or a new one "
        "that is printed; a browser takes it as password, with any name",
    )
    # Whose child this is: it ends with that process, and leaves Ctrl-C to it.
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--folder", type=Path, help="where outputs go; removed at the end (default: a temporary one)"
    )
    return parser.parse_args(argv)


def _step_time(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 2:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2 seconds")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to end; returns the exit code."""
    arguments = parse_arguments(argv)
    if arguments.parent is not None:
        # Some front ends interrupt a kernel by a signal to all of its descendants.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_to_stderr()
    pages = _frontend() if arguments.frontend else None
    if arguments.frontend and pages is None:
        print(f"--frontend needs {PACKAGE}: pip install {PACKAGE}", file=sys.stderr)
        return 1
    # One BLAS thread is fastest for tables of this size; read when numpy is imported, which happens below.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        listener = socket.create_server(("127.0.0.1", arguments.port))
        # Inherited by what it accepts: asyncio forgets those, and half of an answer would wait 40 ms for the other.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        print(f"Cannot listen on 127.0.0.1:{arguments.port}: {error.strerror}.", file=sys.stderr)
        return 1
    folder: Path = arguments.folder or Path(tempfile.mkdtemp(prefix="comfy_nb-"))
    try:
        _serve(listener, folder, arguments, pages)
    except KeyboardInterrupt:
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _frontend() -> Path | None:
    """Where the pages of ComfyUI's front end are; None if its package is not installed."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    places = spec.submodule_search_locations or () if spec else ()
    folders = (Path(place) / "static" for place in places)
    return next((folder for folder in folders if (folder / "index.html").is_file()), None)


def _serve(listener: socket.socket, folder: Path, arguments: argparse.Namespace, pages: Path | None) -> None:
    # Here, so that numpy sees the environment that `main` prepared, and a bad argument is answered at once.
    import uvicorn  # noqa: PLC0415

    from comfy_nb.server.app import create_app  # noqa: PLC0415
    from comfy_nb.server.files import Folders  # noqa: PLC0415
    from comfy_nb.server.patience import PatientProtocol  # noqa: PLC0415
    from comfy_nb.server.state import ServerState  # noqa: PLC0415
    from comfy_nb.server.worlds import make_usual  # noqa: PLC0415

    class Server(uvicorn.Server):
        """Says where it serves, once it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            host, port = listener.getsockname()
            told = {"url": f"http://{host}:{port}", "pid": os.getpid(), **({"token": token} if token else {})}
            print(json.dumps(told), flush=True)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig != signal.SIGINT or arguments.parent is None:
                super().handle_exit(sig, frame)

    # Not an argument, because every user of a machine sees those.
    token = (os.environ.get(TOKEN) or secrets.token_urlsafe(24)) if arguments.token else None
    make_usual(arguments.world)
    app = create_app(
        Folders(folder),
        step_time=arguments.step_time,
        previews=arguments.preview_method != "none",
        frontend=pages,
        token=token,
    )
    server = Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            http=PatientProtocol,
            ws_max_size=4 * 1024 * 1024,
            ws_ping_interval=None,  # like the original, which leaves pings to the client
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=int(GRACE),
            server_header=False,
        )
    )

    def stop() -> None:
        server.should_exit = True
        # Whatever holds the server up must not make it outlive its parent.
        timer = threading.Timer(2 * GRACE, _abandon, (folder,))
        timer.daemon = True
        timer.start()

    state: ServerState = app.state.server
    parent.listen(arguments.parent, stop, state.executor.set_step_time)
    server.run([listener])


def _abandon(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
