"""The command line: `comfy-nb demo [NOTEBOOK]`, `comfy-nb serve …` and `comfy-nb doctor URL`.

Each sub-command is one function that takes its parsed arguments and returns the exit code.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from comfy_nb.client.address import Address

__all__ = ["main"]

LAB_OPTIONS = [
    # Only this machine reaches it, with the token; containers often run as root.
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.allow_root=True",
    # Nothing is fetched from elsewhere, and nothing asks before the first cell runs.
    f"--LabApp.app_settings_dir={Path(__file__).parent / 'lab_settings'}",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    # Not used here, and it would have Jupyter's deprecation warnings printed.
    "--ServerApp.jpserver_extensions={'voila.server_extension': False}",
    "--ServerApp.log_level=WARN",
    "--LabApp.log_level=WARN",
]
TOUR = Path("comfy_nb_tour")  # where `comfy-nb demo` copies the tour: people change it as they go
ASK = "-"  # in place of a secret that is not to stand in the history of a shell
NEEDS_DEMO = "This needs the demo's packages ({missing} is missing): pip install 'comfy-nb[demo]'"


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own) and return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["serve"]:  # its options are the server's own
        return serve(arguments[1:])
    parsed = _parser().parse_args(arguments)
    return parsed.run(parsed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="comfy-nb", description="ComfyUI, live in a notebook.")
    commands = parser.add_subparsers(title="commands", required=True)

    demo_command = commands.add_parser("demo", help="open JupyterLab on the tour, or on a notebook")
    demo_command.add_argument(
        "notebook", nargs="?", help=f"a notebook, or a folder of them; default: the tour, copied into {TOUR}"
    )
    demo_command.add_argument("--port", type=int, default=0, help="default: one that is free")
    demo_command.add_argument("--no-browser", action="store_true", help="only print the address")
    demo_command.set_defaults(run=demo)

    doctor_command = commands.add_parser("doctor", help="what is between here and a server, with remedies")
    doctor_command.add_argument("url", nargs="?", help="default: $COMFY_NB_URL, else http://127.0.0.1:8188")
    doctor_command.add_argument("--token", help="a bearer token; - to be asked for it")
    doctor_command.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="sent with each request"
    )
    doctor_command.add_argument("--ca", help="the certificate of your own authority")
    doctor_command.add_argument("--insecure", action="store_true", help="trust any certificate")
    doctor_command.add_argument("--errors", action="store_true", help="print every error, and when it comes")
    doctor_command.set_defaults(run=doctor)

    commands.add_parser("serve", help="run the embedded server by itself", add_help=False)
    return parser


def doctor(parsed: argparse.Namespace) -> int:
    """Print what is found, one screen; 1 if something is wrong."""
    from comfy_nb import errors  # noqa: PLC0415 (only when wanted)
    from comfy_nb.comfy import DEFAULT_URL  # noqa: PLC0415
    from comfy_nb.doctor import examine  # noqa: PLC0415

    width = min(shutil.get_terminal_size().columns, 110)  # longer lines are hard to read
    if parsed.errors:
        print(errors.explain(width))
        return 0
    try:
        found = examine(_address(parsed, parsed.url or os.environ.get("COMFY_NB_URL") or DEFAULT_URL))
    except errors.ComfyError as error:
        return _refuse(str(error))
    print(*(finding.show(width) for finding in found), sep="\n")
    return int(any(finding.mark == "bad" for finding in found))


def _address(parsed: argparse.Namespace, url: str) -> Address:
    from comfy_nb.client.address import Address  # noqa: PLC0415 (only when wanted)
    from comfy_nb.client.credentials import make_headers  # noqa: PLC0415

    headers = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in parsed.header)
    }
    token = getpass.getpass("Token: ") if parsed.token == ASK else parsed.token
    verify = False if parsed.insecure else parsed.ca or True
    return Address.parse(url, make_headers(headers, token=token), verify=verify)


def serve(arguments: list[str]) -> int:
    """Run the embedded server in this process until it is told to stop."""
    from comfy_nb.server.__main__ import main as serve_main  # noqa: PLC0415 (only when wanted)

    try:
        return serve_main(arguments)
    except ModuleNotFoundError as error:
        return _needs_demo(error)


def demo(parsed: argparse.Namespace) -> int:
    """Serve JupyterLab on 127.0.0.1 in this process until Ctrl-C, which also ends its kernels."""
    given = Path(parsed.notebook) if parsed.notebook else None
    if given and not given.exists():
        return _refuse(f"There is no notebook {given}.")
    try:
        from jupyterlab.labapp import LabApp  # noqa: PLC0415 (needs the demo extra)

        notebook = given or _lay_out_tour()
    except ModuleNotFoundError as error:
        return _needs_demo(error)
    except OSError as error:
        return _refuse(f"The tour cannot be copied to {TOUR}: {error.strerror}. Say so in another folder.")

    folder = notebook if notebook.is_dir() else notebook.parent
    page = "lab" if notebook.is_dir() else f"lab/tree/{quote(notebook.name)}"
    token = secrets.token_hex(24)
    options = [
        f"--ServerApp.root_dir={folder.resolve()}",
        f"--ServerApp.default_url=/{page}",
        f"--ServerApp.open_browser={not parsed.no_browser and _has_display()}",
        f"--IdentityProvider.token={token}",
        *([f"--ServerApp.port={parsed.port}", "--ServerApp.port_retries=0"] if parsed.port else []),
    ]
    if _can_encrypt():  # else each kernel warns in this terminal that others might listen
        options.append("--MappingKernelManager.transport_encryption=auto")
    # Jupyter's own annotations are not complete.
    server = LabApp.initialize_server([*LAB_OPTIONS, *options])  # pyright: ignore[reportUnknownMemberType]
    _run_until_ctrl_c(server, f"{page}?{urlencode({'token': token})}")
    return 0


def _lay_out_tour() -> Path:
    """Copy the tour to where we are, as far as it is not there, and return its first notebook."""
    from comfy_nb.examples import FIRST, copy_tour  # noqa: PLC0415 (only when wanted)

    found = (TOUR / FIRST).exists()
    copy_tour(TOUR)
    print(f"The tour {'was in' if found else 'is now in'} {TOUR}{os.sep}; it is yours to change.", flush=True)
    return TOUR / FIRST


def _run_until_ctrl_c(server: ServerApp, path: str) -> None:
    def say_where() -> None:
        print(f"JupyterLab: {server.connection_url}{path}\nCtrl-C ends it.", flush=True)

    def stop(_signal: int, _frame: object) -> None:
        server.stop(from_signal=True)

    # Jupyter's own handler asks first, and without a terminal there is none and kernels would be left behind.
    signal.signal(signal.SIGINT, stop)
    # Queued behind the call that binds the port, so the address is true when it is printed.
    server.io_loop.add_callback(say_where)  # pyright: ignore[reportUnknownMemberType]
    server.start()
    print("JupyterLab has ended.", flush=True)


def _can_encrypt() -> bool:
    """Whether this Jupyter can give each kernel a key of its own (jupyter_server 2.20 can)."""
    import zmq  # noqa: PLC0415 (needs the demo extra)
    from jupyter_server.services.kernels.kernelmanager import MappingKernelManager  # noqa: PLC0415 (the same)

    return hasattr(MappingKernelManager, "transport_encryption") and bool(zmq.has("curve"))


def _has_display() -> bool:
    desktop = sys.platform in {"darwin", "win32"}
    return desktop or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _needs_demo(error: ModuleNotFoundError) -> int:
    return _refuse(NEEDS_DEMO.format(missing=(error.name or str(error)).partition(".")[0]))


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1
