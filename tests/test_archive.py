"""Archives: what goes in comes out, bit by bit, or nothing does."""

import json
import pickle
import struct

import numpy as np
import pytest
import safetensors.torch
import torch

from anabranch.archive import (
    FORMAT_VERSION,
    ModelFileError,
    fingerprint,
    open_archive,
    read_archive,
    write_archive,
)
from anabranch.version import __version__


def odd_floats(dtype):
    values = [0.1, -0.0, torch.inf, -torch.inf, torch.nan, torch.finfo(dtype).tiny / 2]
    return torch.tensor(values, dtype=dtype)


TREE = {
    "weights": [torch.arange(6.0).reshape(2, 3), {"deep": [[torch.ones(1)]]}],
    "float64": odd_floats(torch.float64),
    "float32": odd_floats(torch.float32),
    "bfloat16": odd_floats(torch.bfloat16),
    "int64": torch.tensor([2**62, -1]),
    "uint8": torch.arange(256, dtype=torch.uint8),
    "bool": torch.tensor([[True], [False]]),
    "empty": torch.empty(0, 3),
    "empty64": torch.empty(2, 0, dtype=torch.int64),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "plain": {"n": 1, "x": 0.1 + 0.2, "yes": True, "none": None, "text": "Ω\n\"'", "list": [1, []]},
    "nothing": {},
    "infinite": float("inf"),
}


def same_bits(a, b):
    """Equal trees: types, dtypes, shapes and bits."""
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.reshape(-1).view(torch.uint8).equal(b.reshape(-1).view(torch.uint8))
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same_bits(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same_bits(x, y)
    else:
        assert type(a) is type(b)
        assert a == b


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def small(path):
    write_archive(path, "model", {"w": torch.arange(3.0), "name": "small", "list": [1, None]})
    return path.read_bytes()


def test_round_trip(path):
    write_archive(path, "model", TREE)
    same_bits(read_archive(path, "model"), TREE)


def test_tuples_become_lists_and_views_whole_tensors(path):
    column = torch.arange(6.0).reshape(2, 3)[:, 1]
    write_archive(path, "model", {"pair": (1, column), "parameter": torch.nn.Parameter(column)})
    tree = read_archive(path, "model")
    assert tree["pair"][0] == 1
    assert tree["pair"][1].tolist() == [1.0, 4.0]
    assert not tree["parameter"].requires_grad


def test_one_tensor_at_two_places_is_written_twice(path):
    shared = torch.ones(2)
    write_archive(path, "model", {"a": shared, "b": shared[:1]})
    same_bits(read_archive(path, "model"), {"a": torch.ones(2), "b": torch.ones(1)})


@pytest.mark.parametrize("leaf", [object(), {1, 2}, np.ones(2), np.float32(1), b"bytes", 1j])
def test_other_leaves_are_refused_by_name(path, leaf):
    with pytest.raises(TypeError, match=rf"a/0 is a {type(leaf).__name__}"):
        write_archive(path, "model", {"a": [leaf]})
    assert not path.exists()


def test_every_flipped_byte_is_noticed(path):
    content = small(path)
    for position in range(len(content)):
        for flip in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match=r"a\.safetensors"):
                read_archive(path, "model")


def test_every_truncation_is_noticed(path):
    content = small(path)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"a\.safetensors"):
            read_archive(path, "model")
    path.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError, match="damaged"):
        read_archive(path, "model")


class Bomb:
    def __reduce__(self):
        return print, ("the file ran code",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_unread(path, protocol, capsys):
    path.write_bytes(pickle.dumps(Bomb(), protocol=protocol))
    with pytest.raises(ModelFileError, match="pickle" if protocol else "not an anabranch file"):
        read_archive(path, "model")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_saves_is_refused(path, zipped):
    torch.save({"w": torch.ones(2)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelFileError, match=r"pickle or torch\.save file"):
        read_archive(path, "model")


def test_an_empty_file(path):
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="is empty"):
        read_archive(path, "model")


def test_text_is_refused(path):
    path.write_text("x,y\n1,2\n1,3\n")
    with pytest.raises(ModelFileError, match="not an anabranch file"):
        read_archive(path, "model")


def test_no_file_and_a_folder(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_archive(path, "model")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        read_archive(tmp_path, "model")


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_safetensors_of_another_program(path, metadata):
    safetensors.torch.save_file({"w": torch.ones(2)}, path, metadata)
    with pytest.raises(ModelFileError, match="is a safetensors file, but not an anabranch one"):
        read_archive(path, "model")


def rewrite(path, **changes):
    """Change metadata of an archive, leaving its tensors."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_a_newer_format_says_so(path):
    small(path)
    rewrite(path, format_version=str(FORMAT_VERSION + 1), library_version="99.0")
    with pytest.raises(ModelFileError, match=r"format 3, written by anabranch 99\.0.*upgrade"):
        read_archive(path, "model")


def test_a_checkpoint_of_an_earlier_format_is_refused_in_one_sentence(path):
    write_archive(path, "checkpoint", {"w": torch.ones(2)})
    read_archive(path, "checkpoint")
    rewrite(path, format_version="1")
    with pytest.raises(ModelFileError, match=r"a\.safetensors is the checkpoint of an earlier"):
        read_archive(path, "checkpoint")
    # models are translated by those who read them; here it is the checksum that was not rewritten
    small(path)
    rewrite(path, format_version="1")
    with pytest.raises(ModelFileError, match="checksum"):
        read_archive(path, "model")


def test_who_wrote_it(path):
    small(path)
    header, tree = open_archive(path, "model")
    assert (header.format_version, header.library_version) == (FORMAT_VERSION, __version__)
    same_bits(tree, read_archive(path, "model"))


def test_what_is_read_is_not_left_in_the_file(path):
    """Tensors that are views of a memory map would change with the file, or die with it."""
    write_archive(path, "model", {"w": torch.arange(5000.0)})
    tree = read_archive(path, "model")
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert tree["w"].equal(torch.arange(5000.0))


def test_another_kind(path):
    small(path)
    with pytest.raises(ModelFileError, match="is a model file, expected a checkpoint"):
        read_archive(path, "checkpoint")


@pytest.mark.parametrize("change", [{"kind": "model "}, {"tree": "{}"}, {"format_version": "x"}])
def test_changed_metadata_are_noticed(path, change):
    small(path)
    rewrite(path, **change)
    with pytest.raises(ModelFileError):
        read_archive(path, "model")


def test_a_failed_write_keeps_the_old_file(path, monkeypatch):
    content = small(path)
    with pytest.raises(TypeError):
        write_archive(path, "model", {"w": object()})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left on device"):
        write_archive(path, "model", {"w": torch.zeros(3)})
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_archive(tmp_path / "no" / "a", "model", {})


def test_fingerprints_tell_names_dtypes_shapes_and_bits_apart():
    zeros = torch.zeros(4)
    trees = [{"x": zeros}, {"y": zeros}, {"x": zeros.int()}, {"x": zeros.view(2, 2)}, {"x": -zeros}]
    assert len({fingerprint(tree) for tree in trees}) == len(trees)
    assert fingerprint({"x": zeros, "y": zeros}) == fingerprint({"y": zeros, "x": zeros.clone()})
