"""Serving an app until SIGTERM or Ctrl-C: the same for web, worker and sandbox."""

import os
import socket
import sys
from typing import Any

import uvicorn


def serve(app: Any, host: str, port: int, setting: str) -> None:
    """Serve on `host:port`; where that can't be had, end with a sentence that names the setting."""
    try:
        address = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        sys.exit(
            f"{setting}: can't listen on {host}:{port} ({os.strerror(error.errno or 0)}). Set {setting} to a free port."
        )
    # uvloop does it by itself, asyncio only for sockets that name their protocol: answers would wait 40 ms.
    address.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,  # open event streams would hold it up for their ten minutes
    )
    uvicorn.Server(config).run(sockets=[address])
