"""The embedded server's budgets: cold start to the first preview, and the time of a sampling step."""

from __future__ import annotations

import statistics
import time

from comfy_nb.server.process import EmbeddedServer
from tests.benchmarks.budgets import budget
from tests.server.talk import Talker, binary, talking, text_to_image

COLD_START = 1.5  # s
STEP = 10  # ms


def first_preview() -> float:
    """Seconds from nothing to the first preview of a 512x512 picture."""
    started = time.perf_counter()
    with EmbeddedServer.start(step_time=0) as server, talking(server.url) as talker:
        talker.post(text_to_image(size=512, steps=20, cfg=8.0))
        talker.until(lambda m: m is None)
        return time.perf_counter() - started


def test_cold_start_to_the_first_preview():
    seconds = sorted(first_preview() for _ in range(5))
    print(
        f"\ncold start -> first preview: best {seconds[0]:.2f} s, median {statistics.median(seconds):.2f} s"
    )
    budget("cold start", seconds[0], COLD_START, "s")


def step_time(talker: Talker, preview_method: str) -> float:
    """Seconds per step of a 512x512 picture with guidance, over 25 steps."""
    started = time.perf_counter()
    prompt = text_to_image(size=512, steps=25, cfg=8.0)
    prompt_id = talker.post(prompt, extra_data={"preview_method": preview_method})
    talker.until(lambda m: m is not None and m["type"] == "executing" and m["data"]["node"] == "8")
    seconds = (time.perf_counter() - started) / 25
    talker.until_end(prompt_id)
    return seconds


def test_a_step_at_512_with_guidance():
    with EmbeddedServer.start(step_time=0) as server, talking(server.url) as talker:
        talker.run(text_to_image(size=512, steps=2))
        best = {}
        for preview_method in ("none", "auto"):
            talker.frames.clear()
            steps = sorted(step_time(talker, preview_method) * 1000 for _ in range(8))
            best[preview_method] = steps[0]
            print(
                f"\nstep at 512x512, CFG on, previews {preview_method}: "
                f"best {steps[0]:.1f} ms, median {statistics.median(steps):.1f} ms"
            )
            assert bool(binary(talker.frames)) == (preview_method == "auto")
        budget("a step without previews", best["none"], STEP)
