import os
import socket

import pytest
from huggingface_hub import constants

from rarl.hub import go_offline_if_unreachable


@pytest.fixture
def endpoint(monkeypatch):
    """Sets the hub's address; nothing that is found out about it outlives the test."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    go_offline_if_unreachable.cache_clear()
    yield lambda url: monkeypatch.setattr(constants, "ENDPOINT", url)
    go_offline_if_unreachable.cache_clear()


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_without_a_network_the_cache_is_all_there_is(endpoint):
    endpoint(f"https://127.0.0.1:{closed_port()}")
    go_offline_if_unreachable()
    assert constants.HF_HUB_OFFLINE
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_hub_that_answers_is_asked(endpoint):
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint(f"http://127.0.0.1:{server.getsockname()[1]}")
        go_offline_if_unreachable()
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_behind_a_proxy_nothing_is_concluded(endpoint, monkeypatch, name):
    monkeypatch.setenv(name, "http://proxy.example:3128")
    endpoint(f"https://127.0.0.1:{closed_port()}")
    go_offline_if_unreachable()
    assert not constants.HF_HUB_OFFLINE
