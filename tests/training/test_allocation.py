"""Freed memory that a fit keeps for its next step."""

import os
import resource

import pytest
import torch

from anabranch.training.allocation import _libc, kept_memory

STEPS, TENSORS, ENTRIES = 20, 6, 3_000_000
PAGES = STEPS * TENSORS * ENTRIES * 4 // 4096


def page_faults() -> int:
    """Pages that the system had to hand out while steps made and dropped the same tensors."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(STEPS):
        kept = [torch.zeros(ENTRIES).add_(1) for _ in range(TENSORS)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(
    _libc() is None or any(name.startswith("MALLOC_") for name in os.environ),
    reason="the allocator is not glibc's, or is set by the environment",
)
def test_pages_are_asked_for_once():
    with kept_memory():
        kept = page_faults()
    # one step's worth, and a little; without it all steps ask for all of theirs
    assert kept < 2 * PAGES / STEPS
    assert page_faults() > 10 * PAGES / STEPS


def test_an_allocator_that_the_user_has_set_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    libc = type("Libc", (), {"mallopt": None})
    monkeypatch.setattr("anabranch.training.allocation._libc", lambda: libc)
    with kept_memory():  # mallopt would raise TypeError
        pass
