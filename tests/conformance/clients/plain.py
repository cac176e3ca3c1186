"""What the websocket examples in ComfyUI's repository do: wait for `executing` null, then history and /view;
and SaveImageWebsocket, whose pictures are the binary messages while it is the node that runs."""

import json
import sys
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import websocket

url, workflow = sys.argv[1:3]
client_id = str(uuid.uuid4())


def get(path: str) -> bytes:
    with urllib.request.urlopen(f"{url}{path}") as reply:  # noqa: S310 - the test's own server
        return reply.read()


def queue(prompt: dict) -> str:
    body = json.dumps({"prompt": prompt, "client_id": client_id}).encode()
    request = urllib.request.Request(f"{url}/prompt", data=body)  # noqa: S310 - the same
    with urllib.request.urlopen(request) as reply:  # noqa: S310
        return json.loads(reply.read())["prompt_id"]


def wait(socket: websocket.WebSocket, prompt_id: str) -> dict[str, list[bytes]]:
    """Binary messages by the node that ran when they came."""
    frames, current = {}, ""
    while True:
        message = socket.recv()
        if not isinstance(message, str):
            frames.setdefault(current, []).append(message[8:])
            continue
        data = json.loads(message)
        if data["type"] == "executing" and data["data"].get("prompt_id") == prompt_id:
            if data["data"]["node"] is None:
                return frames
            current = data["data"]["node"]


prompt = json.loads(Path(workflow).read_text(encoding="utf-8"))
prompt["3"]["inputs"]["steps"] = 4
socket = websocket.WebSocket()
socket.connect(f"{url.replace('http', 'ws')}/ws?clientId={client_id}")

prompt_id = queue(prompt)
wait(socket, prompt_id)
images = json.loads(get(f"/history/{prompt_id}"))[prompt_id]["outputs"]["9"]["images"]
assert get(f"/view?{urllib.parse.urlencode(images[0])}").startswith(b"\x89PNG")

prompt["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["8", 0]}}
frames = wait(socket, queue(prompt))
assert [frame[:4] for frame in frames["9"]] == [b"\x89PNG"], frames.keys()
socket.close()
