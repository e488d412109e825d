r"""The file: a header that says what it holds, and blocks that can be read alone.

All numbers are little-endian. A header is the magic, the version (u16), the length of a JSON text
(u32), the text, and the CRC-32 of all that (u32). A block is a `_BLOCK`, whose last two numbers are
the CRC-32 of its pixels and that of the rest of it, and its bytes: lanes of five bytes and words of
two where a model coded it. The last block ends the file.
"""

import io
import json
import lzma
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.coding.integer_model import IntegerModel
from anabranch.coding.pixels import (
    Pixels,
    decode_pixels,
    encode_pixels,
    named_components,
    usual_lanes,
)
from anabranch.coding.rans import STATE_BYTES, TOTAL, Code, DamagedCodeError, Decoder

MAGIC = b"\x89ANB\r\n\x1a\n"
VERSION = 1
MAX_HEADER = 1 << 24
MAX_BLOCK = 1 << 26  # pixels
MODEL, XZ, RAW = 0, 1, 2
_START = struct.Struct("<8sHI")
_BLOCK = struct.Struct("<BIHIII")
_CRC = struct.Struct("<I")
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24}]


class CompressedFileError(ValueError):
    """A compressed file that is damaged, foreign, of a newer version, or of another model."""


@dataclass(frozen=True)
class Header:
    """What a compressed file holds.

    Attributes:
        model: the SHA-256 of the integer model that it was coded with.
        size: pixels of an item.
        items: how many.
        restore: how the items become what they were, plain JSON values.
    """

    model: str
    size: int
    items: int
    restore: Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """Where a block stands.

    Attributes:
        first, items: its items.
        offset, length: of its bytes in the file.
        method: 0 for the model, 1 for xz, 2 for bytes as they are.
        lanes: of the code.
        crc: of its pixels.
    """

    first: int
    items: int
    offset: int
    length: int
    method: int
    lanes: int
    crc: int


def write_header(file: BinaryIO, header: Header) -> int:
    """Write the header; how many bytes it took."""
    text = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    start = _START.pack(MAGIC, VERSION, len(text)) + text
    return file.write(start + _CRC.pack(zlib.crc32(start)))


def write_block(
    file: BinaryIO, model: IntegerModel, pixels: Pixels, *, verify: bool = True, xz: bool = False
) -> int:
    """Code items and write them as a block.

    Args:
        file: where to.
        model: that codes them.
        pixels: (n, size).
        verify: whether the block is decoded before it is written.
        xz: whether xz may code it, where that is shorter.

    Returns:
        How many bytes it took.

    Raises:
        ValueError: for pixels that the model cannot code.
        RuntimeError: where decoding what was coded gives something else.
    """
    lanes = usual_lanes(len(pixels))
    code = encode_pixels(model, pixels, lanes)
    raw = pixels.tobytes()
    found = {MODEL: _code_bytes(code), RAW: raw}
    if xz:
        found[XZ] = lzma.compress(raw, lzma.FORMAT_RAW, filters=_FILTERS)
    method = min(found, key=lambda key: len(found[key]))
    content, crc = found[method], zlib.crc32(raw)
    block = Block(0, len(pixels), 0, len(content), method, lanes, crc)
    if verify and not np.array_equal(decode_block(block, content, model), pixels):
        raise RuntimeError("a block does not decode to what it was made from; nothing was written")
    head = _BLOCK.pack(method, len(pixels), lanes, len(content), crc, 0)[: -_CRC.size]
    seal = zlib.crc32(content, zlib.crc32(head))
    return file.write(head + _CRC.pack(seal) + content)


def decode_block(block: Block, content: bytes, model: IntegerModel) -> Pixels:
    """The items of a block, (n, size).

    Raises:
        CompressedFileError: for bytes that no encoder has written.
    """
    try:
        if block.method == MODEL:
            pixels = decode_pixels(model, _code_of(content, block.lanes), block.items)
        else:
            pixels = _bytes_of(block, content, model)
    except DamagedCodeError as error:
        raise CompressedFileError(f"block {block.first} is damaged: {error}") from error
    if zlib.crc32(pixels.tobytes()) != block.crc:
        raise CompressedFileError("a block is damaged: its pixels do not match their checksum")
    return pixels


def _code_bytes(code: Code) -> bytes:
    states = code.states.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :STATE_BYTES]
    return states.tobytes() + code.words.astype("<u2").tobytes()


def _code_of(content: bytes, lanes: int) -> Code:
    size = lanes * STATE_BYTES
    if len(content) < size or (len(content) - size) % 2:
        raise DamagedCodeError("its length does not go with its lanes")
    wide = np.zeros((lanes, 8), np.uint8)
    wide[:, :STATE_BYTES] = np.frombuffer(content[:size], np.uint8).reshape(lanes, -1)
    words = np.frombuffer(content[size:], "<u2").astype(np.uint16)
    return Code(wide.view("<u8")[:, 0].astype(np.uint64), words)


def _bytes_of(block: Block, content: bytes, model: IntegerModel) -> Pixels:
    size = block.items * model.size
    if block.method == XZ:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        try:
            content = decompressor.decompress(content, max_length=size + 1)
        except (lzma.LZMAError, EOFError) as error:
            raise DamagedCodeError(str(error)) from error
    if len(content) != size:
        raise DamagedCodeError(f"it holds {len(content)} bytes, and should hold {size}")
    return np.frombuffer(content, np.uint8).reshape(block.items, model.size)


class Container:
    """A compressed file that is read.

    Args:
        file: at its beginning; must be seekable.
        name: what errors call it.

    Attributes:
        header: what it holds.
        blocks: where its blocks stand.

    Raises:
        CompressedFileError: for a file that is foreign, truncated, damaged, or of a newer version.
    """

    def __init__(self, file: BinaryIO, name: str = "the file") -> None:
        self._file, self.name = file, name
        self.length = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.header = self._read_header()
        self.blocks = list(self._find_blocks())

    def read(self, block: Block, model: IntegerModel) -> Pixels:
        """The items of one block, (n, size).

        Raises:
            CompressedFileError: for another model than the file was coded with, or damage.
        """
        self.check_model(model)
        if block.method == MODEL and block.length * 8 < block.items * model.size * _least(model):
            raise CompressedFileError(f"{self.name} is damaged: it is too short for its pixels")
        try:
            return decode_block(block, self._content(block), model)
        except CompressedFileError as error:
            raise CompressedFileError(f"{self.name}: {error}") from error

    def _content(self, block: Block) -> bytes:
        self._file.seek(block.offset - _CRC.size)
        (seal,) = _CRC.unpack(self._file.read(_CRC.size))
        content = self._file.read(block.length)
        head = _BLOCK.pack(block.method, block.items, block.lanes, block.length, block.crc, 0)[
            : -_CRC.size
        ]
        if zlib.crc32(content, zlib.crc32(head)) != seal:
            raise CompressedFileError("it is damaged: a block has another checksum")
        return content

    def components(self, block: Block) -> NDArray[np.int64]:
        """The components of the items of one block, (n,), which need no model.

        Raises:
            CompressedFileError: for a file of a model without components, or damage.
        """
        weights = self.header.restore.get("components")
        if not isinstance(weights, list) or block.method != MODEL:
            raise CompressedFileError(f"{self.name} was coded by no mixture")
        try:
            whole = torch.tensor([int(weight) for weight in weights], dtype=torch.int32)
            decoder = Decoder(_code_of(self._content(block), block.lanes))
            return named_components(whole, decoder, block.items)
        except (DamagedCodeError, TypeError, ValueError, OverflowError, RuntimeError) as error:
            raise CompressedFileError(f"{self.name} is damaged: {error}") from error

    def check_model(self, model: IntegerModel) -> None:
        """Refuse another model than the one that the file was coded with.

        Raises:
            CompressedFileError: says both.
        """
        if self.header.model != model.sha256:
            raise CompressedFileError(
                f"{self.name} was compressed with the model {self.header.model[:12]}, this is "
                f"{model.sha256[:12]}"
            )
        if self.header.size != model.size:
            raise CompressedFileError(f"{self.name} is damaged: its items are not of that model")

    def _read_header(self) -> Header:
        start = self._file.read(_START.size)
        if start[: len(MAGIC)] != MAGIC[: len(start)] or not start:
            raise CompressedFileError(f"{self.name} is no file that anabranch has compressed")
        if len(start) < _START.size:
            raise CompressedFileError(f"{self.name} is truncated")
        _, version, length = _START.unpack(start)
        if version > VERSION:
            raise CompressedFileError(
                f"{self.name} has version {version}, and this anabranch knows those up to "
                f"{VERSION}: upgrade"
            )
        if length > min(MAX_HEADER, self.length):
            raise CompressedFileError(f"{self.name} is truncated, or its header is damaged")
        text = self._file.read(length)
        seal = self._file.read(_CRC.size)
        if len(text) < length or seal != _CRC.pack(zlib.crc32(start + text)):
            raise CompressedFileError(f"{self.name} is damaged: its header has another checksum")
        try:
            return _header_of(json.loads(text))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise CompressedFileError(f"{self.name} has a header without sense: {error}") from error

    def _find_blocks(self) -> Iterator[Block]:
        first = 0
        while first < self.header.items:
            head = self._file.read(_BLOCK.size)
            if len(head) < _BLOCK.size:
                raise CompressedFileError(f"{self.name} is truncated")
            method, items, lanes, length, crc, _ = _BLOCK.unpack(head)
            offset = self._file.tell()
            within = 1 <= items <= self.header.items - first
            within = within and items * self.header.size <= MAX_BLOCK and method in (MODEL, XZ, RAW)
            if not within or not 1 <= lanes <= items:
                raise CompressedFileError(f"{self.name} is damaged: a block says what cannot be")
            if offset + length > self.length:
                raise CompressedFileError(f"{self.name} is truncated")
            yield Block(first, items, offset, length, method, lanes, crc)
            first += items
            self._file.seek(offset + length)
        if self._file.tell() != self.length:
            raise CompressedFileError(f"{self.name} is damaged: there is more behind its end")


def _header_of(found: Any) -> Header:
    header = Header(
        str(found["model"]), int(found["size"]), int(found["items"]), dict(found["restore"])
    )
    if header.size < 1 or header.items < 0 or set(found) != set(asdict(header)):
        raise ValueError("sizes below one, or other names")
    return header


def _least(model: IntegerModel) -> float:
    """Bits that the likeliest level takes at least."""
    return -float(np.log2((TOTAL - model.levels + 1) / TOTAL))
