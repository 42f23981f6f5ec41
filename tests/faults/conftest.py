"""A server of processes that start at once, for all tests of faults."""

from __future__ import annotations

import os

import pytest

from tests.helpers.forks import ForkServer
from tests.helpers.hub_client import environment
from tests.helpers.hub_server import HubServer


@pytest.fixture(scope="package")
def fault_hub():
    """A Hub that the server's processes push to."""
    with HubServer() as hub:
        yield hub


@pytest.fixture(scope="package")
def server(fault_hub, tmp_path_factory):
    """The server."""
    if os.name != "posix":
        pytest.skip("processes are forked")
    with ForkServer(environment(fault_hub, tmp_path_factory.mktemp("home"))) as server:
        yield server


@pytest.fixture(scope="package")
def states(tmp_path_factory):
    """A folder for the working folders that steps start from; see `tests.helpers.faults.state`."""
    return tmp_path_factory.mktemp("states")
