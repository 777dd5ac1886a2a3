"""An OpenBao server for development at this loopback address; says where, and ends when its standard input does."""

import os
import signal
import subprocess
import sys
import time
import urllib.request

program, token, port = sys.argv[1:]
address = f"http://127.0.0.1:{port}"
server = subprocess.Popen(
    [program, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={token}",
     f"-dev-listen-address=127.0.0.1:{port}"],
    stdin=subprocess.DEVNULL,
    stdout=sys.stderr,
    # The package's program starts another: they end together.
    start_new_session=True,
)
try:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/v1/sys/health", timeout=5).read()
            break
        except OSError:
            if server.poll() is not None:
                sys.exit(1)
            time.sleep(0.1)
    print(address, flush=True)
    sys.stdin.buffer.read()
finally:
    os.killpg(server.pid, signal.SIGKILL)
