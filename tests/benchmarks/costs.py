"""What a scenario costs this machine: the processor time of each kind of process, and the page's animation frames."""

import time
from collections import Counter

import psutil

# What a command line has in it, and whose it is; the first that fits.
KINDS = [
    ("--type=gpu-process", "compositor"),
    ("--type=renderer", "page"),
    ("ipykernel_launcher", "kernel"),
    ("tests.benchmarks.servers", "servers"),
    ("-m jupyterlab", "JupyterLab"),
    ("chrom", "browser"),
]


def _kind(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    return next((kind for part, kind in KINDS if part in command), "others")


def _spent() -> Counter[str]:
    """Seconds of processor time by kind, of this process and all it has started."""
    spent: Counter[str] = Counter()
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        try:
            times = process.cpu_times()
            spent[_kind(process)] += times.user + times.system
        except psutil.NoSuchProcess:
            continue  # ended meanwhile
    return spent


class Costs:
    """Between its making and `told()`."""

    def __init__(self) -> None:
        self._began, self._before, self._busy = time.monotonic(), _spent(), psutil.cpu_times()

    def told(self, gaps: list[float]) -> str:
        """Per cent of one core by kind, the machine's idle share, and the page's gaps between animation frames."""
        passed = time.monotonic() - self._began
        spent, now = _spent() - self._before, psutil.cpu_times()
        shares = ", ".join(
            f"{kind} {100 * share / passed:.0f}" for kind, share in spent.most_common() if share > 0
        )
        idle = (now.idle - self._busy.idle) / (passed * (psutil.cpu_count() or 1))
        ordered = sorted(gaps) or [0.0]
        p50, p95 = ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]
        return (
            f"per cent of a core: {shares}; idle {100 * idle:.0f} % of the machine; "
            f"animation frames every {p50:.0f} ms (p95 {p95:.0f})"
        )
