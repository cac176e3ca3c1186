"""Environments with other versions of ipykernel, made from .locks/ipykernel-<version>.txt when asked for.

`make` makes them before the tests run; a test that runs by itself waits while the first one is made.
"""

import fcntl
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def python_for(ipykernel_version: str) -> Path:
    """Return the Python that has this ipykernel: our own, or one in .venvs/, made if it is missing."""
    if version("ipykernel") == ipykernel_version:
        return Path(sys.executable)
    lock = ROOT / ".locks" / f"ipykernel-{ipykernel_version}.txt"
    folder = ROOT / ".venvs" / f"ipykernel-{ipykernel_version}"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two test workers may ask at once
        made = folder / "made-from.txt"
        if not made.exists() or made.read_text() != lock.read_text():
            _make(folder, lock)
            shutil.copyfile(lock, made)
    return folder / "bin" / "python"


def _make(folder: Path, lock: Path) -> None:
    print(f"Making {folder.relative_to(ROOT)} from {lock.relative_to(ROOT)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], check=True)


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        python_for(wanted)
