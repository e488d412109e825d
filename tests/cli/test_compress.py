"""compress, decompress and info: what went in comes out, and what cannot is one sentence."""

import gzip
import struct

import numpy as np
import pytest

from anabranch import Coder, load, save
from tests.coding.models import images


@pytest.fixture(scope="module")
def shop(tmp_path_factory, succeed):
    """Images as an IDX file, and a coder that was fitted to them in the shell."""
    folder = tmp_path_factory.mktemp("shop")
    x = images((6, 7), 256, n=40)
    content = struct.pack(">HBB3I", 0, 8, 3, 40, 6, 7) + x.tobytes()
    (folder / "x-ubyte.gz").write_bytes(gzip.compress(content))
    np.save(folder / "x.npy", x)
    settings = ("--max-epochs", 40, "--set", "hidden=[12]", "--set", "n_neighbours=10")
    fit = ("fit", folder / "x-ubyte.gz", "--model", "coder", *settings)
    said = succeed(*fit, "-o", folder / "coder.safetensors")
    assert "bits per dimension" in said
    return folder


def test_the_shell_fits_a_coder_that_knows_the_shape(shop):
    coder = load(shop / "coder.safetensors")
    assert isinstance(coder, Coder)
    assert coder.integer_.event_shape == (6, 7)


@pytest.mark.parametrize("name", ["x.npy", "x-ubyte.gz"])
def test_files_come_back(shop, tmp_path, succeed, name):
    packed, out = tmp_path / "x.anb", tmp_path / name
    model = ("-m", shop / "coder.safetensors")
    assert "verified" in succeed("compress", shop / name, *model, "-o", packed)
    assert "40 items" in succeed("decompress", packed, *model, "-o", out)
    contents = [path.read_bytes() for path in (out, shop / name)]
    if name.endswith(".gz"):
        contents = [gzip.decompress(content) for content in contents]
    assert contents[0] == contents[1]
    said = succeed("info", packed)
    assert "40, 6, 7" in said.replace("[", "").replace("]", "")
    assert load(shop / "coder.safetensors").integer_.sha256 in said
    assert packed.stat().st_size < 0.95 * 40 * 42


def test_other_files_are_taken_as_bytes(shop, tmp_path, cli, succeed):
    model = ("-m", shop / "coder.safetensors")
    (tmp_path / "a.txt").write_bytes(b"so it is, and so it was\n" * 50)
    result = cli("compress", tmp_path / "a.txt", *model, "-o", tmp_path / "a.anb")
    assert result.exit_code == 0
    assert "note:" in result.stderr
    succeed("decompress", tmp_path / "a.anb", *model, "-o", tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "a.txt").read_bytes()
    succeed("compress", shop / "x.npy", *model, "-o", tmp_path / "c.anb", "--bytes", "--no-verify")
    succeed("decompress", tmp_path / "c.anb", *model, "-o", tmp_path / "c.npy")
    assert (tmp_path / "c.npy").read_bytes() == (shop / "x.npy").read_bytes()


def test_what_cannot_be_is_one_sentence(shop, model, tmp_path, succeed, fail):
    mixture, model = model, ("-m", shop / "coder.safetensors")
    packed = tmp_path / "x.anb"
    succeed("compress", shop / "x.npy", *model, "-o", packed)
    kept = packed.read_bytes()
    np.save(tmp_path / "wide.npy", np.full((2, 6, 7), 256))
    np.save(tmp_path / "deep.npy", np.zeros((2, 6, 7, 3), np.uint8))
    (tmp_path / "cut.anb").write_bytes(kept[:-9])
    (tmp_path / "flip.anb").write_bytes(kept[:-9] + b"?" + kept[-8:])
    (tmp_path / "newer.anb").write_bytes(kept[:8] + b"\x09\x00" + kept[10:])
    other = load(shop / "coder.safetensors")
    other.integer_.inputs.codes[0, 0] += 1
    save(other, tmp_path / "other.safetensors")
    out = ("-o", tmp_path / "out.npy")
    packing = {"wide.npy": "levels 0..255", "deep.npy": "shape"}
    for name, reason in packing.items():
        assert reason in fail("compress", tmp_path / name, *model, "-o", tmp_path / "out.anb")
    unpacking = {"cut.anb": "truncated", "flip.anb": "damaged", "newer.anb": "version 9"}
    for name, reason in unpacking.items():
        assert reason in fail("decompress", tmp_path / name, *model, *out)
        if name != "flip.anb":  # which only decoding finds
            assert reason in fail("info", tmp_path / name)
    wrong = ("-m", tmp_path / "other.safetensors")
    assert "compressed with the model" in fail("decompress", packed, *wrong, *out)
    assert "no file that" in fail("decompress", shop / "x.npy", *model, *out)
    assert "there is no file" in fail("decompress", tmp_path / "none", *model, *out)
    assert "there is no file" in fail("compress", tmp_path / "none", *model, "-o", packed)
    assert "is an input" in fail("compress", shop / "x.npy", *model, "-o", shop / "x.npy")
    assert "is an input" in fail("decompress", packed, *model, "-o", packed)
    assert "codes nothing" in fail("compress", shop / "x.npy", "-m", mixture, "-o", tmp_path / "y")
    assert not (tmp_path / "out.npy").exists()
    assert not (tmp_path / "out.anb").exists()
    assert packed.read_bytes() == kept
