"""Stopping one prompt and no other, on every version of the server.

The jobs API does it in one step. Without it: take it out of the queue, look whether it runs, and only then interrupt
it by its id. Servers before 0.3.57 ignore the id and stop whatever runs, so there the look is the only guard, and
only a prompt of our own is worth the risk that another one starts in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from comfy_nb import events as ev
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.http import Http
from comfy_nb.client.reconcile import REMOVED, Reconciler
from comfy_nb.client.timing import Timing
from comfy_nb.errors import ComfyError, ServerError

__all__ = ["Stopper"]

log = logging.getLogger("comfy_nb")


class Stopper:
    """Sends stops, and sends them again as long as the server has the prompt. Runs on the loop thread."""

    def __init__(
        self, http: Http, truth: Reconciler, timing: Timing, finish: Callable[[Delivery, ev.Event], None]
    ) -> None:
        self._http, self._truth, self._timing, self._finish = http, truth, timing, finish

    def due(self, delivery: Delivery) -> bool:
        """Whether a stop was asked for, and none is on its way: the last one may have come between two prompts."""
        if (
            not delivery.stop_asked
            or delivery.stop_running
            or delivery.run.ended
            or not delivery.sent
            or delivery.posting
        ):
            return False
        sent_at = delivery.stop_sent_at
        return sent_at is None or time.monotonic() - sent_at >= self._timing.stop

    async def stop(self, delivery: Delivery) -> None:
        """Ask the server to stop it. Whether it was in time is for the history to say."""
        if not self.due(delivery):
            return
        delivery.stop_running, delivery.stop_sent_at = True, time.monotonic()
        try:
            await self.stop_at_server(delivery.id, ours=True)
            if delivery.run.started_at is None:
                await self._removed(delivery)
        except ComfyError as error:
            delivery.feed(ev.Warned(f"The interrupt did not get through: {error}"))
        finally:
            delivery.stop_running = False

    async def stop_at_server(self, prompt_id: str, *, ours: bool) -> None:
        """Ask the server to stop a prompt. Raises `ServerError` where that could hit another one."""
        if await self._http.cancel(prompt_id):
            return
        await self._http.delete_pending(prompt_id)
        queue = await self._http.queue()
        if queue.position(prompt_id) != 0:
            return
        if not self._http.can.targeted and not ours:
            raise ServerError(
                f"This ComfyUI ({self._http.can.version or 'of unknown version'}) can only stop whatever runs, so it "
                "is asked to for our own jobs alone; 0.3.57 and newer can stop one job."
            )
        await self._http.interrupt(prompt_id)

    async def _removed(self, delivery: Delivery) -> None:
        """After a cancel while waiting: gone from the queue and not in the history means that it worked."""
        queue = await self._http.queue()
        if queue.position(delivery.id) is None and not await self._truth.settle(delivery):
            self._finish(delivery, ev.Vanished(REMOVED, cancelled=True))
