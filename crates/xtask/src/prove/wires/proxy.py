"""LiteLLM's proxy on a free loopback port; says where, and ends when its standard input does.

What is asked over Gemini's wire is held against the types of Google's own SDK, which know no field but their own: what
does not fit is refused, so that whoever asks fails.
"""

import json
import os
import socket
import sys
import threading

config = sys.argv[1]
os.environ["CONFIG_FILE_PATH"] = config
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import uvicorn
from google.genai import types
from litellm.proxy.proxy_server import app
from pydantic import TypeAdapter, ValidationError

PARTS = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
}


def problem(body):
    """What Google's SDK has against a body, if anything."""
    try:
        for name, value in json.loads(body).items():
            if name not in PARTS:
                return f"`{name}` is no part of a request"
            PARTS[name].validate_json(json.dumps(value))
    except (ValueError, ValidationError) as error:
        return str(error)
    return None


async def judged(scope, receive, send):
    """The proxy, but for what Google's SDK would not send."""
    if scope["type"] != "http" or not scope["path"].endswith("Content"):
        return await app(scope, receive, send)
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    wrong = problem(body)
    if wrong is not None:
        answer = json.dumps({"error": {"code": 400, "message": f"google-genai: {wrong}"}}).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        return await send({"type": "http.response.body", "body": answer})
    given = [{"type": "http.request", "body": body, "more_body": False}]

    async def again():
        return given.pop() if given else await receive()

    await app(scope, again, send)


listener = socket.socket()
listener.bind(("127.0.0.1", 0))


class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        print("http://127.0.0.1:%d" % listener.getsockname()[1], file=said, flush=True)


def until_the_end():
    sys.stdin.buffer.read()
    os._exit(0)


# What the proxy prints is for its log.
said, sys.stdout = sys.stdout, sys.stderr
threading.Thread(target=until_the_end, daemon=True).start()
Server(uvicorn.Config(judged, log_level="warning", lifespan="on")).run(sockets=[listener])
