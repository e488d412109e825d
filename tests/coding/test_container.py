"""Files: what went in comes out, bit for bit, or the file is refused."""

import io
import json
import struct
import zlib

import numpy as np
import pytest

from anabranch.coding import (
    ArraySource,
    CompressedFileError,
    Container,
    compress,
    decode_array,
    decompress,
    encode_array,
    information,
    open_source,
)
from anabranch.coding.container import Header, write_header
from tests.coding.models import images, integer_model, pixels

MODEL = integer_model()
COLOURS = integer_model((3, 4, 3), 256)
BINARY = integer_model((4, 4), 2)
DTYPES = ("u1", "i1", "<i2", ">i4", "<u8", "<f2", "<f4", ">f8")


@pytest.mark.parametrize("model", [MODEL, COLOURS, BINARY], ids=["grey", "colour", "binary"])
@pytest.mark.parametrize("dtype", [*DTYPES, "?"])
def test_arrays_come_back_bit_for_bit(model, dtype):
    top = 2 if dtype == "?" else 128 if dtype == "i1" else 256
    array = (images(model.event_shape, model.levels, n=5).astype(int) % top).astype(dtype)
    again = decode_array(encode_array(array, model), model)
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert again.tobytes() == array.tobytes()


@pytest.mark.parametrize("shape", [(1, 5, 6), (0, 5, 6), (2, 17, 6), (3, 4, 3), (1, 1, 40)])
def test_larger_and_smaller_images_go_in_patches(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    again = decode_array(encode_array(array, MODEL), MODEL)
    assert np.array_equal(again, array)
    assert again.shape == shape


def test_a_file_is_hardly_longer_than_its_information():
    x = pixels(MODEL, n=600)
    content = encode_array(x.reshape(-1, 5, 6), MODEL)
    header = Container(io.BytesIO(content)).blocks[0].offset - 19
    overhead = 8 * (len(content) - header) - information(MODEL, x).sum()
    lanes = 600 // 16
    assert 0 < overhead < 40 * lanes + 8 * 19 + 0.002 * information(MODEL, x).sum()


def test_the_model_codes_these():
    for model in (MODEL, COLOURS):
        content = encode_array(images(model.event_shape, n=7), model)
        assert [block.method for block in Container(io.BytesIO(content)).blocks] == [0]


def test_a_block_is_read_alone(monkeypatch):
    monkeypatch.setattr("anabranch.coding.compression.BLOCK", 3)
    array = images(n=8)
    container = Container(io.BytesIO(encode_array(array, MODEL)))
    assert [block.items for block in container.blocks] == [3, 3, 2]
    assert np.array_equal(container.read(container.blocks[1], MODEL).reshape(3, 5, 6), array[3:6])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((1, 4, 4), 2), r"levels 0\.\.1, the data hold 2\.\.2"),
        (np.full((1, 4, 4), -1), "levels"),
        (np.full((1, 4, 4), 0.5), "not whole"),
        (np.full((1, 4, 4), -0.0), "negative zero"),
        (np.full((1, 4, 4), np.nan), "levels"),
        (np.zeros((1, 4, 4, 3)), "shape"),
        (np.zeros(4), "shape"),
        (np.zeros((1, 4, 4), complex), "whole numbers"),
        (np.zeros(()), "axis"),
    ],
)
def test_data_that_the_model_cannot_code_are_refused(array, reason):
    with pytest.raises(ValueError, match=reason):
        encode_array(array, BINARY)


def test_another_model_is_refused():
    content = encode_array(images(), MODEL)
    with pytest.raises(CompressedFileError, match="compressed with the model"):
        decode_array(content, integer_model(seed=1))


def test_no_mutation_gives_another_array():
    array, source = images(n=3), np.random.default_rng(0)
    content = encode_array(array, MODEL)
    for turn in range(300):
        changed = bytearray(content)
        kind = turn % 4
        place = int(source.integers(len(content)))
        if kind == 0:
            changed[place] ^= 1 << int(source.integers(8))
        elif kind == 1:
            del changed[place:]
        elif kind == 2:
            changed[place:place] = source.bytes(int(source.integers(1, 9)))
        else:
            end = place + int(source.integers(1, 30))
            changed[place:end] = source.bytes(len(changed[place:end]))
        refused_or_right(bytes(changed), array)


def refused_or_right(content, array):
    try:
        found = decode_array(content, MODEL)
    except CompressedFileError:
        return
    assert np.array_equal(found, array)


def sealed(content):
    """The same with right checksums of its first block: a forger's, not an accident's."""
    (length,) = struct.unpack_from("<I", content, 10)
    at = 14 + length + 4
    head, body = content[at : at + 15], content[at + 19 :]
    return content[: at + 15] + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def test_forged_codes_are_refused_by_their_pixels():
    array, source = images(n=3), np.random.default_rng(1)
    content = encode_array(array, MODEL)
    assert sealed(content) == content
    first = len(content) - 20
    for _ in range(40):
        changed = bytearray(content)
        changed[int(source.integers(first, len(content)))] ^= 1 << int(source.integers(8))
        with pytest.raises(CompressedFileError, match="damaged"):
            decode_array(sealed(bytes(changed)), MODEL)


def forged(**changes):
    content = encode_array(images(n=3), MODEL)
    (length,) = struct.unpack_from("<I", content, 10)
    header = json.loads(content[14 : 14 + length])
    restore = header["restore"] | changes.pop("restore", {})
    file = io.BytesIO()
    write_header(file, Header(**(header | changes | {"restore": restore})))
    return file.getvalue() + content[14 + length + 4 :]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"items": 10**18}, "truncated"),
        ({"items": 2}, "cannot be"),
        ({"size": 10**9}, "cannot be"),
        ({"size": 31}, "not of that model"),
        ({"restore": {"shape": [10**9, 10**9, 10**9]}}, "items"),
        ({"restore": {"shape": [3, 5, 7]}}, "items"),
        ({"restore": {"shape": "a"}}, "no array"),
        ({"restore": {"dtype": "O"}}, "array of"),
        ({"restore": {"kind": "x"}}, "kind"),
        ({"items": -1}, "without sense"),
    ],
)
def test_forged_headers_are_refused(changes, reason):
    with pytest.raises(CompressedFileError, match=reason):
        decode_array(forged(**changes), MODEL)


def test_newer_foreign_and_empty_files_are_refused():
    content = encode_array(images(), MODEL)
    newer = content[:8] + struct.pack("<H", 9) + content[10:]
    for changed, reason in ((newer, "version 9"), (b"", "no file"), (b"PNG" * 9, "no file")):
        with pytest.raises(CompressedFileError, match=reason):
            decode_array(changed, MODEL)
    with pytest.raises(CompressedFileError, match="truncated"):
        decode_array(content[:9], MODEL)


def test_an_encoder_that_fails_says_so(monkeypatch):
    monkeypatch.setattr("anabranch.coding.container.decode_block", lambda *_: np.zeros(3))
    with pytest.raises(RuntimeError, match="does not decode"):
        encode_array(images(), MODEL)


# --- files ----------------------------------------------------------------------------------------


def round_trip(path, out, tmp_path, **settings):
    packed = tmp_path / "packed.anb"
    compress(open_source(path, **settings), MODEL, packed)
    with packed.open("rb") as file:
        decompress(Container(file), MODEL, out)
    return packed


def test_numpy_and_idx_files_come_back(tmp_path):
    array = images(n=4).astype("<i4")
    np.save(tmp_path / "a.npy", array)
    round_trip(tmp_path / "a.npy", tmp_path / "b.npy", tmp_path)
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()
    np.savez(tmp_path / "a.npz", pictures=array)
    round_trip(tmp_path / "a.npz", tmp_path / "b.npz", tmp_path)
    with np.load(tmp_path / "b.npz") as again:
        assert np.array_equal(again["pictures"], array)
    idx = tmp_path / "a-ubyte"
    idx.write_bytes(struct.pack(">HBB3I", 0, 8, 3, 4, 5, 6) + images(n=4).tobytes())
    round_trip(idx, tmp_path / "b-ubyte", tmp_path)
    assert (tmp_path / "b-ubyte").read_bytes() == idx.read_bytes()


@pytest.mark.parametrize("length", [0, 1, 30, 31, 5000])
def test_any_file_comes_back_and_is_no_worse_than_xz(tmp_path, length):
    content = (b"abcabd" * length)[:length]
    (tmp_path / "a.txt").write_bytes(content)
    packed = round_trip(tmp_path / "a.txt", tmp_path / "b.txt", tmp_path)
    assert (tmp_path / "b.txt").read_bytes() == content
    assert packed.stat().st_size < 300


def test_folders_of_pictures_come_back(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "a").mkdir()
    for i, picture in enumerate(images(n=3)):
        image.fromarray(picture).save(tmp_path / "a" / f"{i}.{'pgm' if i else 'png'}")
    round_trip(tmp_path / "a", tmp_path / "b", tmp_path)
    for path in (tmp_path / "a").iterdir():
        again = image.open(tmp_path / "b" / path.name)
        assert np.array_equal(np.asarray(again), np.asarray(image.open(path)))
    with pytest.raises(FileExistsError):
        round_trip(tmp_path / "a", tmp_path / "b", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "packed.anb"]


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path):
    content = forged(restore={"kind": "folder", "names": ["a.png", "../b.png", "c.png"]})
    with pytest.raises(CompressedFileError, match="names a picture"):
        decompress(Container(io.BytesIO(content)), MODEL, tmp_path / "x")


def test_a_failure_leaves_nothing_behind(tmp_path):
    bad = ArraySource(np.concatenate([images(n=3).astype(int), np.full((1, 5, 6), 999)]))
    with pytest.raises(ValueError, match="levels"):
        compress(bad, MODEL, tmp_path / "x.anb")
    assert not list(tmp_path.iterdir())
