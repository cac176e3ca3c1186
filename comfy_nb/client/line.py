"""One client id at the server: its websocket, the prompts that were sent under it, and how long it has been quiet.

The server sends what a prompt says to the one socket that has the id that the prompt was sent with, so a prompt stays
with its line. After a loss without a good-bye the server may take the old connection for alive, and cut off the new
one when it finds out: then new prompts get a line of their own, under a new id, and the old line stays for the old.
"""

from __future__ import annotations

import ssl
import time
import uuid
from collections.abc import Callable

from comfy_nb.client.address import Address
from comfy_nb.client.delivery import Delivery
from comfy_nb.client.routing import Router
from comfy_nb.client.socket import Socket
from comfy_nb.client.timing import Timing
from comfy_nb.events import Link, LinkChanged
from comfy_nb.loop import Loop
from comfy_nb.wire import messages as wire

__all__ = ["Line", "is_greeting", "new_id"]

DEAF = (
    "the server takes jobs, but its websocket says nothing: it is opened anew, and the queue is asked every 2 s; "
    "previews may be missing"
)
TELL_AFTER = 5.0  # seconds of silence after which a view says so
MAYBE_DEAD = 300.0  # seconds after which loading a model is no likely reason any more


def new_id() -> str:
    """A client id that nobody else has."""
    return uuid.uuid4().hex


class Line:
    """All methods run on the loop thread."""

    def __init__(
        self,
        address: Address,
        loop: Loop,
        timing: Timing,
        *,
        on_message: Callable[[Line, wire.Message], None],
        on_link: Callable[[Line, Link, str], None],
        on_loss: Callable[[Line, bool], None],
        tls: ssl.SSLContext | None,
        max_message: int,
    ) -> None:
        self.deliveries: dict[str, Delivery] = {}
        self.link: Link = "connecting"
        self.note = ""  # what there is to say of it, for people
        self.router = Router(self.deliveries, self._has_node)
        self._timing = timing
        self._heard_at = self._renewed_at = time.monotonic()
        self._renewals = 0
        self._owed_since: float | None = None  # when it should have said a word by now
        self._on_message = on_message
        self.socket = Socket(
            address,
            new_id(),
            loop,
            timing,
            on_message=self._hear,
            on_link=lambda link, note: on_link(self, link, note),
            on_loss=lambda clean: on_loss(self, clean),
            tls=tls,
            max_message=max_message,
        )

    @property
    def client_id(self) -> str:
        """The id that prompts are sent with."""
        return self.socket.client_id

    def tell(self, link: Link, note: str) -> None:
        """Take note of a change of the connection, and tell the prompts of this line."""
        self.link, self.note = link, note
        if link != "connected":
            self.router.forget()
        for delivery in list(self.deliveries.values()):
            delivery.unwatched = delivery.unwatched or link != "connected"
            delivery.feed(LinkChanged(link, note))

    def _hear(self, message: wire.Message) -> None:
        if not is_greeting(message):
            self._heard_at, self._renewals = time.monotonic(), 0
            self._owed_since = None
            for delivery in [p for p in self.deliveries.values() if p.run.link_note == DEAF]:
                delivery.feed(LinkChanged("connected", ""))
        self._on_message(self, message)

    def _has_node(self, prompt_id: str, node_id: str) -> bool:
        return self.deliveries[prompt_id].run.display_id(node_id) is not None

    def expect(self, posted_at: float) -> None:
        """A POST that began at `posted_at` was accepted, and so makes the server say `status` to everybody."""
        if self._heard_at < posted_at and self._owed_since is None and self.socket.is_open:
            self._owed_since = time.monotonic()

    def look_due(self, looked_at: float) -> float:
        """When queue and history are to be asked, as this line is silent; after a look at `looked_at`."""
        told_after = min(TELL_AFTER, self._timing.quiet[0])
        silent = max(self._heard_at + told_after, looked_at + told_after)
        if self._owed_since is None:
            return silent
        return min(silent, max(self._owed_since + self._timing.word, looked_at + self._timing.doubt))

    def note_deafness(self) -> bool:
        """If a word that must come did not, tell the prompts; True if the socket is to be opened anew."""
        now = time.monotonic()
        since = self._owed_since
        if since is None or not self.socket.is_open or now - since < self._timing.word:
            return False
        for delivery in list(self.deliveries.values()):
            if delivery.run.link_note != DEAF:
                delivery.feed(LinkChanged("connected", DEAF))
        pause = (
            self._timing.quiet[min(self._renewals, len(self._timing.quiet)) - 1] if self._renewals else 0.0
        )
        due = now - self._renewed_at >= pause
        if due:
            self._renewals, self._renewed_at = self._renewals + 1, now
        return due

    def note_silence(self, running: Delivery) -> bool:
        """The queue says that `running` runs. If nothing is heard, say so; True if the socket is to be opened anew.

        A socket that is open and dead looks just like a server that loads a model, so this gets rarer each time.
        """
        now = time.monotonic()
        silent = now - max(self._heard_at, running.record.heard_at or 0.0, running.run.started_at or 0.0)
        if not self.socket.is_open or self._owed_since is not None:
            return False
        if silent >= min(TELL_AFTER, self._timing.quiet[0]):
            running.feed(LinkChanged("connected", _silence(silent)))
        pause = self._timing.quiet[min(self._renewals, len(self._timing.quiet) - 1)]
        due = silent >= self._timing.quiet[0] and now - max(self._heard_at, self._renewed_at) >= pause
        if due:
            self._renewals, self._renewed_at = self._renewals + 1, now
        return due


def is_greeting(message: wire.Message) -> bool:
    """Whether every new connection hears this, also one that will hear nothing more."""
    return isinstance(message, wire.FeatureFlags) or (
        isinstance(message, wire.Executing) and message.prompt_id is None
    )


def _silence(seconds: float) -> str:
    spell = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    why = (
        "loading a model can take minutes" if seconds < MAYBE_DEAD else "its worker may be dead: see its log"
    )
    return f"no word from the server for {spell} ({why})"
