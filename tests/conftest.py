"""What every test gets."""

import signal

import pytest
import torch

# a shell starts what runs in the background deaf to Ctrl-C, which some tests send
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _same_numbers_at_every_run():
    """Modules that are made without a generator draw their weights from torch's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
