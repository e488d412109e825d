"""Checkpoints: the whole state of a run in one archive."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from anabranch.archive import read_archive, write_archive

ABSENT = "absent"
# Differences that a message names, and letters of a value that it shows.
NAMED, SHOWN = 3, 60


def save_checkpoint(path: str | Path, tree: dict[str, Any]) -> None:
    """Write the state of a run, atomically: an older checkpoint stays until the new one is whole.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "run.checkpoint"
        >>> save_checkpoint(path, {"identity": {"rows": 3}, "epoch": 2})
        >>> load_checkpoint(path, {"rows": 3})["epoch"]
        2
    """
    write_archive(path, "checkpoint", tree)


def load_checkpoint(path: str | Path, identity: Mapping[str, Any]) -> dict[str, Any]:
    """Read the state of a run that has this identity.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: where it is damaged, or belongs to another run; names what differs, with both
            values.
    """
    tree = read_archive(path, "checkpoint")
    # JSON, which the file holds, knows no tuples
    now = json.loads(json.dumps(identity))
    found = list(differences(tree.get("identity", {}), now))
    if found:
        named = [f"{name} was {_shown(a)}, now {_shown(b)}" for name, a, b in found[:NAMED]]
        if len(found) > NAMED:
            named.append(f"and {len(found) - NAMED} more")
        raise ValueError(
            f"{path} is the checkpoint of another run: {'; '.join(named)}. "
            "Resume with the data and settings of that run, or start anew"
        )
    return tree


def differences(was: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two trees of plain values differ: the dotted name, and both values.

    Example:
        >>> was, now = {"flow": {"activation": "relu", "n": 2}}, {"flow": {"activation": "tanh"}}
        >>> list(differences(was, now))
        [('flow.activation', 'relu', 'tanh'), ('flow.n', 2, 'absent')]
    """
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in was if key not in now)]:
            inner = f"{name}.{key}" if name else key
            yield from differences(was.get(key, ABSENT), now.get(key, ABSENT), inner)
    elif json.dumps(was) != json.dumps(now):  # as text, for NaN is not equal to itself
        yield name, was, now


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Restore an optimizer from JSON, which keeps neither integer keys nor tuples."""
    state = {int(key): value for key, value in saved["state"].items()}
    groups = []
    for own, group in zip(
        optimizer.state_dict()["param_groups"], saved["param_groups"], strict=True
    ):
        groups.append(
            {k: tuple(v) if isinstance(own.get(k), tuple) else v for k, v in group.items()}
        )
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _shown(value: Any) -> str:
    text = repr(value) if value != ABSENT else ABSENT
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
