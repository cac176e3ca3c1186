"""The browser that the tests drive: the machine's Chromium, else Debian's package, else Playwright's own.

`python -m tests.browser.chromium`, which `make` runs, installs one where there is none and prints its path.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# No sandbox: containers rarely allow one, and only our own pages are opened. The rest: no calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> Path | None:
    """Return the browser to drive (Playwright's `executable_path`), or None when there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return own if own.exists() else None


def install_chromium() -> Path:
    """Return the browser, installed first if need be; exits with one sentence that says what failed."""
    failures = []
    if found := find_chromium():
        return found
    for command in _installers():
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if found := find_chromium():
            return found
        failures.append(f"`{' '.join(command[:4])} …` failed ({_reason(done)})")
    raise SystemExit(f"No Chromium for the browser tests: none on the PATH, and {', and '.join(failures)}.")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]


def _installers() -> list[list[str]]:
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get"):
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if not root or shutil.which("sudo"):
            # The lists of a fresh container are empty; without them the install finds nothing.
            script = "apt-get update && apt-get install --yes --no-install-recommends chromium"
            ways.insert(0, [*root, "sh", "-c", script])
    return ways


if __name__ == "__main__":
    print(install_chromium())
