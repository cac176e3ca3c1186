"""What people do without comfy_nb, as short as it goes: run in the kernel, beside it, on the same frames.

Their pictures are as large as ours. All three read the websocket in a thread per server. `Image` sets the value of an
`ipywidgets.Image` for each frame; `Polling` does so with the newest frame every 200 ms; `Naive` sends each frame as a
message to a small widget.
"""

import contextlib
import json
import threading
import time
import urllib.request
import uuid

import anywidget
import ipywidgets
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

WORKFLOW = {
    "3": {"class_type": "KSampler", "inputs": {}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
}


class Rival:
    """Reads one server. `show(picture)` is called in its thread."""

    def __init__(self, url: str) -> None:
        self._url, self._client = url, uuid.uuid4().hex
        self.widget = self.make()
        self._connected = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        self._connected.wait(20)

    def start(self) -> None:
        body = json.dumps({"prompt": WORKFLOW, "client_id": self._client}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self._url}/prompt", body, {"Content-Type": "application/json"}
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()

    def _read(self) -> None:
        url = f"ws{self._url.removeprefix('http')}/ws?clientId={self._client}"
        with connect(url, max_size=None, proxy=None) as socket, contextlib.suppress(ConnectionClosed):
            socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
            socket.recv()
            self._connected.set()
            for message in socket:
                if isinstance(message, bytes):
                    size = int.from_bytes(message[4:8], "big")
                    self.show(message[8 + size :])

    def make(self) -> ipywidgets.DOMWidget:
        return ipywidgets.Image(format="jpeg", layout=ipywidgets.Layout(width="92%", max_width="378px"))

    def show(self, picture: bytes) -> None:
        raise NotImplementedError


class Image(Rival):
    def show(self, picture: bytes) -> None:
        self.widget.value = picture


class Polling(Rival):
    newest = b""

    def start(self) -> None:
        super().start()
        threading.Thread(target=self._poll, daemon=True).start()

    def show(self, picture: bytes) -> None:
        self.newest = picture

    def _poll(self) -> None:
        while True:
            time.sleep(0.2)
            self.widget.value = self.newest


class Sender(anywidget.AnyWidget):
    _esm = """export default { render({ model, el }) {
        const image = document.createElement("img");
        image.style.cssText = "width: 92%; max-width: 378px";
        el.append(image);
        model.on("msg:custom", (_, buffers) => {
            const before = image.src;
            image.src = URL.createObjectURL(new Blob([buffers[0]]));
            if (before) URL.revokeObjectURL(before);
        });
    } };"""


class Naive(Rival):
    def make(self) -> ipywidgets.DOMWidget:
        return Sender()

    def show(self, picture: bytes) -> None:
        self.widget.send({}, [picture])
