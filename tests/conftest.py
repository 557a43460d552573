"""One torch thread per test process: small tensors gain nothing from a second, and test runs must not fight for cores."""

import os

import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start
torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _caches_of_tests_are_thrown_away(tmp_path_factory):
    """What scans keep for the next one belongs to the user, not to tests."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
