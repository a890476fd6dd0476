"""The model hub: asked only where it can be reached."""

from __future__ import annotations

import os
import socket
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

_SECONDS = 5.0  # to wait for a connection


@cache
def go_offline_if_unreachable() -> None:
    """Before the hub is asked for the first time: without a network, take what is in its cache and fail at once for the
    rest, which its client does only after half a minute of retries.

    Looks at nothing where a proxy is set, since a connection of our own says nothing then.
    """
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE or getproxies().keys() & {hub.scheme, "all"}:
        return
    port = hub.port or (80 if hub.scheme == "http" else 443)
    try:
        socket.create_connection((str(hub.hostname), port), timeout=_SECONDS).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"  # for worker processes
