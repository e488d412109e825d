"""Freed memory that a fit keeps for its next step."""

import os
import subprocess
import sys

import pytest

from anabranch.training.allocation import _libc, kept_memory

STEPS, TENSORS, ENTRIES, PROCESSES = 20, 6, 3_000_000, 6
PAGES = TENSORS * ENTRIES * 4 // 4096
# In a process of its own: what others have freed before would be taken up again.
PROGRAM = f"""
import resource
import torch
from anabranch.training.allocation import kept_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({STEPS}):
        kept = [torch.zeros({ENTRIES}).add_(1) for _ in range({TENSORS})]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with kept_memory():
    kept = page_faults()
print(kept, page_faults())
"""


@pytest.mark.skipif(
    _libc() is None or any(name.startswith("MALLOC_") for name in os.environ),
    reason="the allocator is not glibc's, or is set by the environment",
)
def test_pages_are_asked_for_once():
    """By a step inside; outside by most of them, so that there is something to gain.

    Outside a small block at the end of the heap may by chance keep all below it: some processes in
    ten. So there are several of them.
    """
    for _ in range(PROCESSES):
        ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
        kept, plain = map(int, ran.stdout.split())
        assert kept < 2 * PAGES
        if plain > STEPS // 2 * PAGES:
            return
    pytest.fail(f"{PROCESSES} processes asked for pages once without it, too")


def test_an_allocator_that_the_user_has_set_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    libc = type("Libc", (), {"mallopt": None})
    monkeypatch.setattr("anabranch.training.allocation._libc", lambda: libc)
    with kept_memory():  # mallopt would raise TypeError
        pass
