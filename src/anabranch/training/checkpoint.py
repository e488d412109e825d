"""Checkpoints: the whole state of a run in one archive."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from anabranch.archive import ModelFileError, read_archive, write_archive
from anabranch.training.tensors import check_alike

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


def load_checkpoint(
    path: str | Path, identity: Mapping[str, Any], limits: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read the state of a run that has this identity.

    Args:
        path: the file.
        identity: plain values that must be those of the run.
        limits: plain values that need not be, but are named first where schedules differ, for
            these may follow from them, as a cosine rate does from ``max_epochs``.

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
        if any(name.startswith("schedules.") for name, _, _ in found):
            found = [*differences(tree.get("limits", {}), dict(limits or {})), *found]
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
    # as text, for NaN is not equal to itself; a forged file may hold tensors
    elif json.dumps(was, default=repr) != json.dumps(now):
        yield name, was, now


def load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Restore the moments and learning rates of Adam; all else is as it was made.

    Raises:
        ValueError: for moments of other parameters, or a learning rate that is none.
    """
    groups = optimizer.state_dict()["param_groups"]
    for own, group in zip(groups, saved["param_groups"], strict=True):
        if not 0 <= group["lr"] < math.inf:
            raise ValueError(f"the learning rate is {group['lr']}")
        own["lr"] = group["lr"]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    # JSON keeps no integer keys
    state = {int(key): moments for key, moments in saved["state"].items()}
    for key, moments in state.items():
        mean = torch.zeros_like(parameters[key])
        like = {"step": torch.zeros(()), "exp_avg": mean, "exp_avg_sq": mean}
        check_alike(f"moments.{key}", moments, like)
        finite = all(moment.isfinite().all() for moment in moments.values())
        if not finite or moments["step"] < 0 or (moments["exp_avg_sq"] < 0).any():
            raise ValueError(f"moments.{key} are none of Adam")
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@contextmanager
def refused(path: str | Path) -> Iterator[None]:
    """Say of whatever the parts of a checkpoint are refused by that it makes no sense."""
    try:
        yield
    except Exception as error:
        reason = shorten(f"{type(error).__name__}: {error}", 300)
        raise ModelFileError(f"{path} is no checkpoint that a run has left: {reason}") from error


def _shown(value: Any) -> str:
    text = repr(value) if value != ABSENT else ABSENT
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
