"""Every delay of a client, in seconds, with its reason. `TIMING` is used unless a client is given others."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["TIMING", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a client is. Tests of faults use shorter ones; nothing depends on the values but their order."""

    first_retry: float = 0.3  # ComfyUI's own page comes back after 0.3 s
    last_retry: float = 5.0  # doubling up to here: a server that restarts is found soon, and not flooded
    open: float = 10.0  # a handshake through a slow proxy
    close: float = 2.0  # for the good-bye of a server that may be gone; then the connection is aborted
    ping: float = 20.0  # the server never pings, and idle proxies cut at 60 s
    answer: float = 30.0  # for any piece of an HTTP answer: a big queue on a busy server takes a while
    word: float = 2.0  # from an accepted POST to the `status` that each of them makes a server say
    turn: float = 5.0  # for one job's request, before the next job is sent all the same
    ready: float = 20.0  # a submit waits so long for a lost server: most of its restarts
    watch: float = 15.0  # between two looks at queue and history while all seems well
    doubt: float = 2.0  # the same while the socket is down, or anything is unclear
    again: float = 1.0  # between two looks that must both miss a prompt before it counts as gone
    queue: float = 0.25  # in which the server's many "the queue moved" are taken as one
    settle: tuple[float, ...] = (
        0.0,
        0.05,
        0.1,
        0.2,
        0.4,
        0.6,
        0.8,
    )  # the history is written a hair after the socket
    quiet: tuple[float, ...] = (
        15.0,
        60.0,
        300.0,
    )  # silence of a running prompt's socket before it is opened anew
    stop: float = 5.0  # until a stop is sent again: one that lands between two prompts is lost
    fetch: float = 30.0  # for which the bytes of a result are asked for again while the server is away

    def pause(self, attempt: int) -> float:
        """Seconds before the next try to reconnect, after so many: doubling, and no two clients in step."""
        delay = min(self.last_retry, self.first_retry * 2 ** min(attempt - 1, 10))
        return delay * random.uniform(0.7, 1.3)


TIMING = Timing()
