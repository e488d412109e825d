"""What every test gets."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_numbers_at_every_run():
    """Modules that are made without a generator draw their weights from torch's own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
