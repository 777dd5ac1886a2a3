"""Speaks OpenAI's Chat Completions on a free loopback port, to those alone who have the key; ends with its standard
input. It answers requests that are made to a proxy too, whatever host they are for."""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

wanted = f"Bearer {sys.argv[1]}"
ANSWER = b"""data: {"choices":[{"index":0,"delta":{"content":"the key is right"},"finish_reason":"stop"}]}

data: [DONE]

"""


class Model(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, "text/plain", b"")

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("authorization") == wanted:
            self.answer(200, "text/event-stream", ANSWER)
        else:
            self.answer(401, "application/json", b'{"error":{"message":"that is not the key"}}')

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.buffer.read()
os._exit(0)
