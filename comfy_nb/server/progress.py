"""What a client hears while one prompt runs: which node, how far, what it looks like.

Message order, per step: progress_state, preview, progress for a client that gets type 4 previews;
progress_state, progress, preview for one that gets type 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from comfy_nb.server.hub import Hub
from comfy_nb.server.lineage import Lineage
from comfy_nb.wire import messages as m
from comfy_nb.wire.packing import pack

__all__ = ["EncodedImage", "Progress"]

# Without a preview, a bar is sent at most this often, and only when it moved this far, as on the original.
BAR_INTERVAL = 0.1
BAR_FRACTION = 0.005


@dataclass(frozen=True)
class EncodedImage:
    """Bytes of an image file and their media type."""

    data: bytes
    image_type: str


@dataclass
class _Bar:
    value: float = 0.0
    max: float = 1.0
    state: str = "running"
    sent_at: float | None = None
    sent_value: float = 0.0

    def due(self, value: float, maximum: float, now: float) -> bool:
        """Whether a step without a picture is worth a message."""
        if self.sent_at is None or value >= maximum:
            return True
        return now - self.sent_at >= BAR_INTERVAL and value - self.sent_value >= maximum * BAR_FRACTION


@dataclass
class Progress:
    """The progress of one prompt, told to its client, or to everybody if it has none."""

    hub: Hub
    prompt_id: str
    client_id: str | None
    clock: Callable[[], float] = time.monotonic
    lineage: Lineage = field(default_factory=Lineage)
    _bars: dict[str, _Bar] = field(default_factory=dict[str, _Bar])

    def tell(self, message: m.Message, *, broadcast: bool = False) -> None:
        """Send to the owner; without an owner to nobody, or to all if `broadcast`."""
        if (self.client_id is not None or broadcast) and self.listened():
            self.hub.send(pack(message), self.client_id)

    def listened(self) -> bool:
        """Whether what is told would reach anybody: if not, it is not made either."""
        return self.hub.listens(self.client_id)

    def start(self, node_id: str) -> None:
        """The node begins, or begins again after it had to wait for others."""
        self._bars[node_id] = _Bar()
        self._tell_states()
        self.tell(m.Executing(node_id, self.lineage.real(node_id), self.prompt_id))

    def finish(self, node_id: str) -> None:
        """The node is done, whether it ran or was served from the cache."""
        bar = self._bars.setdefault(node_id, _Bar(max=1))
        bar.value, bar.state = bar.max, "finished"
        self._tell_states()

    def end(self) -> None:
        """The prompt has ended, well or not; to be told when the history knows it."""
        self.tell(m.Executing(None, None, self.prompt_id))

    def step(
        self, node_id: str, value: int, maximum: int, image: EncodedImage | None, *, every: bool
    ) -> None:
        """The node's bar moved; with `every` no step is left out."""
        bar, now = self._bars[node_id], self.clock()
        due = every or bar.due(value, maximum, now)
        bar.value, bar.max = value, maximum
        if not due:
            return
        bar.sent_at, bar.sent_value = now, value
        self._tell_states()
        progress = m.Progress(value, maximum, node_id, self.prompt_id)
        if image is None:
            self.tell(progress, broadcast=True)
        elif self.hub.wants_metadata(self.client_id):
            real, parent = self.lineage.real(node_id), self.lineage.parent(node_id)
            self.tell(
                m.PreviewWithMetadata(
                    self.prompt_id, node_id, real, parent, real, image.image_type, image.data
                )
            )
            self.tell(progress)
        else:
            self.tell(progress, broadcast=True)
            self.tell(m.PreviewImage(image.image_type, image.data), broadcast=True)

    def _tell_states(self) -> None:
        if not self.listened():
            return
        nodes = tuple(
            m.NodeProgress(
                node_id,
                bar.value,
                bar.max,
                bar.state,
                self.lineage.real(node_id),
                self.lineage.parent(node_id),
                self.lineage.real(node_id),
            )
            for node_id, bar in self._bars.items()
        )
        self.tell(m.ProgressState(self.prompt_id, nodes), broadcast=True)
