"""Serves one model on a free loopback port, says where, and ends when its standard input does."""

import os
import sys
import time

import xllamacpp


def idle_cores():
    """Cores' worth of time that nobody uses just now, or None where the system does not tell."""

    def idle():
        with open("/proc/stat") as stat:
            return int(stat.readline().split()[4]) / os.sysconf("SC_CLK_TCK")

    try:
        before, begun = idle(), time.monotonic()
        time.sleep(0.5)
        return (idle() - before) / (time.monotonic() - begun)
    except (OSError, ValueError, IndexError):
        return None


model, context, template = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
params = xllamacpp.CommonParams()
params.model.path = model
params.n_ctx = context
params.n_parallel = 1
params.hostnames = ["127.0.0.1"]
params.port = 0
params.verbosity = 1
# The same answer each time, so that a run can be repeated; and never an endless one.
params.sampling.temp = 0.0
params.n_predict = 2048
if template:
    params.chat_template = template[0]
# Its threads wait for each other by spinning: one too many on a busy machine costs ten times what it brings.
idle = idle_cores()
if idle is not None and idle < os.cpu_count() - 0.5:
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, round(idle))
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)

# Whoever started this holds the other end of the pipe, and the system closes it however they end.
sys.stdin.buffer.read()
os._exit(0)
