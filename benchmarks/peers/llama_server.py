"""llama.cpp's own server on a free port: `python llama_server.py GGUF ADAPTER SLOTS THREADS`.

Prints its address when it listens, and serves until its standard input ends. Each slot has room for 512 tokens.
"""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    """Serve."""
    gguf, adapter, slots, threads = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path = gguf
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(adapter, 1.0)]
    params.n_parallel, params.n_ctx = int(slots), 512 * int(slots)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.hostnames, params.port, params.verbosity = ["127.0.0.1"], 0, -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
