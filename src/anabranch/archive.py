"""Archives: one safetensors file that holds a tree of tensors and plain JSON values.

Model files and checkpoints are archives. Nothing is ever unpickled: reading one runs no code, and a
checksum over all contents tells a damaged file from a whole one. It does not tell who wrote it, so
that what a tree may cost is limited before it is built.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from anabranch.data.atomic import atomic_write
from anabranch.version import __version__

# 1: anabranch 0.1.0. 2: an estimator's settings and its state are two branches of the tree.
FORMAT_VERSION = 2
# Fits go on only where every step would be the same; models of earlier formats are translated.
OLDEST = {"checkpoint": 2}
_TENSOR = "__tensor__"
# Of what is read and written: bytes of the header, tensors, plain values, and branches in branches.
# A history of a hundred thousand evaluations is within them.
MAX_HEADER, MAX_TENSORS, MAX_VALUES, MAX_DEPTH = 2**24, 100_000, 1_000_000, 64

Leaf: TypeAlias = Tensor | str | int | float | bool | None
Tree: TypeAlias = "Leaf | Mapping[str, Tree] | Sequence[Tree]"


class ModelFileError(ValueError):
    """A model file or checkpoint that is damaged, foreign, of another kind, or makes no sense."""


class Header(NamedTuple):
    """Who wrote an archive.

    Attributes:
        format_version: of the file, 1, 2, ...
        library_version: of anabranch.
    """

    format_version: int
    library_version: str


def write_archive(path: str | Path, kind: str, tree: Mapping[str, Tree]) -> None:
    """Write a tree of dicts, lists, plain values and tensors, atomically.

    Args:
        path: the file; its folder must exist.
        kind: what the tree is, "model" or "checkpoint", checked on reading.
        tree: nested dicts and lists with tensors and JSON values as leaves.

    Raises:
        OSError: where the file cannot be written; an older file of that name is left as it was.
        TypeError: for a leaf that is neither a tensor nor a JSON value.
        ValueError: for a tree that is larger than what may be read.

    Example:
        >>> import tempfile, torch
        >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
        >>> write_archive(path, "model", {"weights": [torch.ones(2)], "name": "x"})
        >>> read_archive(path, "model")
        {'weights': [tensor([1., 1.])], 'name': 'x'}
    """
    tensors: dict[str, Tensor] = {}
    metadata = {
        "format": "anabranch",
        "format_version": str(FORMAT_VERSION),
        "library_version": __version__,
        "kind": kind,
        "tree": json.dumps(_detach(tree, "", tensors)),
    }
    _check_size(metadata["tree"], len(tensors))
    metadata["sha256"] = _digest(metadata, tensors)
    with atomic_write(path) as file:
        file.write(save(tensors, metadata))


def read_archive(path: str | Path, kind: str) -> dict[str, Any]:
    """Read an archive of that kind, verified; see `open_archive`."""
    return open_archive(path, kind)[1]


def open_archive(path: str | Path, kind: str) -> tuple[Header, dict[str, Any]]:
    """Read an archive of that kind, verified, and who wrote it.

    Nothing of it is left in the file: what happens to that later changes no tensor of the tree.

    Raises:
        FileNotFoundError: where there is no such file.
        ModelFileError: for a file that is empty, truncated, damaged, a pickle, a pipe, of another
            program, of another kind, of a newer format than this version knows, or a checkpoint of
            an older.
    """
    path = Path(path)
    try:
        metadata, content = _read(path)
        # in memory of their own: a map of the file would change with it, or die with it
        tensors = load(content)
        header = _checked_header(path, metadata, kind)
        if metadata.get("sha256") != _digest(metadata, tensors):
            raise ModelFileError(f"{path} is damaged: its contents do not match their checksum")
        _check_size(metadata["tree"], len(tensors))
        tree = _attach(json.loads(metadata["tree"]), tensors)
        if not isinstance(tree, dict):
            raise ValueError(f"it holds a {type(tree).__name__}, expected an object")
        return header, tree
    except ModelFileError:
        raise
    except (SafetensorError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged or not an anabranch file: {error}") from error


def fingerprint(tensors: dict[str, Tensor], prefix: str = "") -> str:
    """A SHA-256 of the names, dtypes, shapes and bits of tensors.

    Example:
        >>> fingerprint({"x": torch.zeros(2)}) == fingerprint({"x": -torch.zeros(2)})
        False
    """
    digest = hashlib.sha256(prefix.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _detach(node: Tree, name: str, tensors: dict[str, Tensor]) -> Any:
    """The JSON form of a tree, with its tensors moved out to a flat dict."""
    if name.count("/") > MAX_DEPTH:
        raise ValueError(f"the tree has more than {MAX_DEPTH} levels")
    if isinstance(node, Tensor):
        tensors[name] = node.detach().cpu().contiguous().clone()
        return {_TENSOR: name}
    if isinstance(node, Mapping):
        return {
            str(k): _detach(v, f"{name}/{k}" if name else str(k), tensors) for k, v in node.items()
        }
    if isinstance(node, list | tuple):
        return [_detach(v, f"{name}/{i}", tensors) for i, v in enumerate(node)]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"{name} is a {type(node).__name__}, neither a tensor nor a JSON value")


def _attach(node: Any, tensors: dict[str, Tensor], depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"its tree has more than {MAX_DEPTH} levels")
    if isinstance(node, dict):
        if set(node) == {_TENSOR}:
            return tensors[node[_TENSOR]]
        return {key: _attach(value, tensors, depth + 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_attach(value, tensors, depth + 1) for value in node]
    return node


def _digest(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    return fingerprint(tensors, json.dumps(rest, sort_keys=True))


def _read(path: Path) -> tuple[dict[str, str], bytes]:
    """The metadata of a safetensors file, and all of its bytes."""
    if path.is_dir():
        raise IsADirectoryError(f"cannot read {path}: it is a folder")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ModelFileError(f"{path} is a pipe or a device, not an anabranch file")
    with path.open("rb") as file:
        start = file.read(9)
        _refuse_foreign(path, start)
        length = int.from_bytes(start[:8], "little")
        text = start[8:] + file.read(min(length, MAX_HEADER) - 1)
        if len(text) != length or text.count(b'"data_offsets"') > MAX_TENSORS:
            raise ModelFileError(f"{path} is damaged: its header is cut off, or far too large")
        metadata = json.loads(text).get("__metadata__") or {}
        return metadata, start[:8] + text + file.read()


def _check_size(text: str, n_tensors: int) -> None:
    """Refuse a tree, as JSON, that takes far more memory than any of ours."""
    n_values = text.count(",") + text.count("{") + text.count("[")
    if len(text) > MAX_HEADER or n_tensors > MAX_TENSORS or n_values > MAX_VALUES:
        raise ValueError(
            f"a tree of {len(text)} letters, {n_values} values and {n_tensors} tensors is larger "
            "than a file may hold"
        )


def _refuse_foreign(path: Path, start: bytes) -> None:
    """Tell pickles, and what is no safetensors file at all, by their first nine bytes."""
    if not start:
        raise ModelFileError(f"{path} is empty")
    # The first eight bytes are the length of a header, whose low bytes can be any.
    if start[4:] == b"\0\0\0\0{":
        return
    if start[:2] == b"PK" or start[:1] == b"\x80":
        raise ModelFileError(
            f"{path} is a pickle or torch.save file; reading one can run code, so it is refused. "
            "Write models with anabranch.save"
        )
    raise ModelFileError(f"{path} is damaged or not an anabranch file")


def _checked_header(path: Path, metadata: dict[str, str], kind: str) -> Header:
    if metadata.get("format") != "anabranch":
        raise ModelFileError(f"{path} is a safetensors file, but not an anabranch one")
    version = metadata.get("format_version", "")
    if not version.isdigit():
        raise ModelFileError(f"{path} is damaged: its format version is {version!r}")
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format {version}, written by anabranch {metadata.get('library_version')}; "
            f"this is anabranch {__version__}, which knows formats up to {FORMAT_VERSION}: upgrade"
        )
    if metadata.get("kind") != kind:
        raise ModelFileError(f"{path} is a {metadata.get('kind')} file, expected a {kind}")
    if int(version) < OLDEST.get(kind, 1):
        raise ModelFileError(
            f"{path} is the {kind} of an earlier version of anabranch (format {version}), which "
            "this one cannot go on with: begin anew, or finish with the version that wrote it"
        )
    return Header(int(version), metadata.get("library_version", ""))
