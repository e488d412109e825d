"""Whether a compressed file decodes to the same bytes elsewhere, and what damage does to it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from anabranch.archive import read_archive, write_archive
from anabranch.coding import (
    CompressedFileError,
    IntegerModel,
    decode_array,
    encode_array,
    freeze,
)
from anabranch.coding.pixels import intervals
from anabranch.data import load_sklearn
from anabranch.distributions import LocalContext
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.procedures.fit_coder import fit_coder
from anabranch.training import FitOptions

Images = NDArray[np.uint8]
# Sets of instructions: the names that torch and oneDNN know them by.
INSTRUCTIONS = {"default": "SSE41", "avx2": "AVX2", "avx512": "DEFAULT"}
TENSORS = {"cpu": 2000, "full": 10_000}
MUTATIONS = {"cpu": 10_000, "full": 100_000}
SHAPE = ((8, 8),)
SIZES: dict[str, Any] = {"levels": 17, "hidden": (64, 48), "reach": 16}
DTYPES = ("u1", "i1", "<i2", ">i4", "<i8", "<u2", "<f2", "<f4", ">f8", "?")


class Portable(NamedTuple):
    """Differences between ways of computing, and what became of damaged files."""

    seed: int
    ways: int
    integer_images: float
    float_images: float
    tensors: int
    wrong_tensors: int
    mutations: int
    wrong_arrays: int
    refused: float


@experiment(
    "coder-portability", seeds=1, summary="compressed files under other instructions, and damaged"
)
def coder_portability(run: Run) -> Outcome:
    """Digits coded with three sets of instructions, one thread and two, and several batch sizes."""
    rows = per_seed(run.seeds, portable, run)
    figures = [
        Figure(
            "images of 100 whose integer tables differ", rows.mean("integer_images"), 0, "lower"
        ),
        Figure("tensors that came back wrongly", rows.mean("wrong_tensors"), 0, "lower"),
        Figure("damaged files that gave another array", rows.mean("wrong_arrays"), 0, "lower"),
        Figure("ways of computing", rows.mean("ways")),
        Figure("images whose float tables differ", rows.mean("float_images")),
        Figure("random tensors", rows.mean("tensors")),
        Figure("damaged files", rows.mean("mutations")),
        Figure("damaged files that were refused, %", 100 * rows.mean("refused")),
    ]
    sizes = {"tensors": TENSORS[run.budget], "mutations": MUTATIONS[run.budget]}
    return Outcome(figures, sizes | {"instructions": list(INSTRUCTIONS)}, rows.table())


def portable(seed: int, run: Run) -> Portable:
    """Both paths in every way, and files that were damaged at random."""
    integer, floating = tables(seed)
    source = np.random.default_rng(seed)
    model = small_model(source)
    wrong = sum(not comes_back(model, array) for array in tensors(source, TENSORS[run.budget]))
    refused, other = damaged(model, source, MUTATIONS[run.budget])
    return Portable(
        seed,
        len(integer),
        changed(integer),
        changed(floating),
        TENSORS[run.budget],
        wrong,
        MUTATIONS[run.budget],
        other,
        refused / MUTATIONS[run.budget],
    )


# --- other machines -------------------------------------------------------------------------------


def tables(seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """Of each way of computing a hash of the tables of every image: integer path and float path."""
    found = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "models"
        write_models(path, seed)  # once, for drawing and rounding are done in floats
        for capability, isa in INSTRUCTIONS.items():
            given = {"ATEN_CPU_CAPABILITY": capability, "ONEDNN_MAX_CPU_ISA": isa}
            if capability != "avx512":
                given["MKL_ENABLE_INSTRUCTIONS"] = "AVX2" if capability == "avx2" else "SSE4_2"
            done = subprocess.run(
                [sys.executable, "-m", "anabranch.experiments.coder_portability", str(path)],
                env={**os.environ, **given},
                capture_output=True,
                check=True,
            )
            found += json.loads(done.stdout.splitlines()[-1])
    return [way[0] for way in found], [way[1] for way in found]


def write_models(path: Path, seed: int) -> None:
    """A float model of random weights, and what it is rounded to."""
    model = LocalContext(*SHAPE, **SIZES)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    frozen = freeze(model, torch.as_tensor(digits()[:64]))
    write_archive(path, "model", {"float": model.state_dict(), "integer": frozen.state()})


def changed(ways: list[list[str]]) -> float:
    """How many of the images some way has other tables for."""
    return float(sum(len(set(image)) > 1 for image in zip(*ways, strict=True)))


def ways(path: Path) -> list[list[list[str]]]:
    """In this process: hashes of the tables, by threads, batch sizes and floats."""
    tree, x, found = read_archive(path, "model"), digits(), []
    model = LocalContext(*SHAPE, **SIZES)
    model.load_state_dict(tree["float"])
    for threads, batch, dtype in (
        (1, 100, torch.float32),
        (2, 100, torch.float32),
        (1, 1, torch.float32),
        (1, 100, torch.float64),
    ):
        torch.set_num_threads(threads)
        integer = IntegerModel.from_state(tree["integer"], dtype)
        hashes = integer_tables(integer, x, batch), float_tables(model.to(dtype), x, batch)
        found.append(list(hashes))
    return found


def integer_tables(model: IntegerModel, x: Images, batch: int) -> list[str]:
    """A hash of the intervals that the integer model gives, of each image."""
    flat, found = x.reshape(len(x), -1), []
    for first in range(0, len(x), batch):
        for starts, sizes in intervals(model, flat[first : first + batch]):
            found += [_hash(np.stack(both)) for both in zip(starts, sizes, strict=True)]
    return found


@torch.no_grad()
def float_tables(model: LocalContext, x: Images, batch: int) -> list[str]:
    """A hash of the intervals of 16 bits that the float model would give, of each image."""
    pixels = torch.as_tensor(x).flatten(1).to(model.codes.dtype)
    places = torch.arange(pixels.shape[1])
    parts = [model.place_log_probs(pixels[i : i + batch], places) for i in range(0, len(x), batch)]
    tables = (torch.cat(parts).exp().cumsum(-1) * 65536).round().long().numpy()
    return [_hash(table) for table in tables]


def _hash(array: np.generic | NDArray[np.generic]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def digits() -> Images:
    """A hundred digits of 8 x 8 pixels."""
    return np.asarray(load_sklearn("digits").X)[:100].astype(np.uint8).reshape(-1, 8, 8)


# --- tensors and damage -------------------------------------------------------------------------


def small_model(source: np.random.Generator) -> IntegerModel:
    """A coder of images of 4 x 5, trained for a moment."""
    x = torch.as_tensor(walks(source, (200, 4, 5)))
    generator = torch.Generator().manual_seed(int(source.integers(2**31)))
    model = LocalContext((4, 5), hidden=(16,), n_neighbours=8, reach=8, generator=generator)
    options = FitOptions(max_epochs=30, batch_size=20, patience=None, progress=False)
    return fit_coder(model, x, x, options=options).integer


def walks(source: np.random.Generator, shape: tuple[int, ...]) -> Images:
    """Images whose neighbours are alike."""
    return (source.integers(-3, 4, shape).cumsum(1).cumsum(2) % 256).astype(np.uint8)


def tensors(source: np.random.Generator, n: int) -> Iterator[NDArray[np.generic]]:
    """Images of every size and dtype, smooth and not."""
    for _ in range(n):
        shape = (int(source.integers(0, 4)), *map(int, source.integers(1, 12, 2)))
        smooth = source.random() < 0.5
        array = walks(source, shape) if smooth else source.integers(0, 256, shape)
        dtype = np.dtype(DTYPES[source.integers(len(DTYPES))])
        most = {"?": 2, "i1": 128}.get(dtype.str.lstrip("|<>").replace("b1", "?"), 256)
        yield (array.astype(np.int64) % most).astype(dtype)


def comes_back(model: IntegerModel, array: NDArray[np.generic]) -> bool:
    """Whether decoding gives the array again, bit for bit."""
    again = decode_array(encode_array(array, model, verify=False), model)
    same = (again.dtype, again.shape) == (array.dtype, array.shape)
    return same and again.tobytes() == array.tobytes()


def damaged(model: IntegerModel, source: np.random.Generator, n: int) -> tuple[int, int]:
    """How many of n damaged files were refused, and how many gave another array."""
    array = walks(source, (6, 4, 5))
    content, refused, wrong = encode_array(array, model), 0, 0
    for _ in range(n):
        try:
            wrong += not np.array_equal(decode_array(mutated(content, source), model), array)
        except CompressedFileError:
            refused += 1
    return refused, wrong


def mutated(content: bytes, source: np.random.Generator) -> bytes:
    """A file with bits flipped, cut, bytes put in, overwritten or moved."""
    changed, place = bytearray(content), int(source.integers(len(content)))
    length = int(source.integers(1, 40))
    match int(source.integers(5)):
        case 0:
            for _ in range(int(source.integers(1, 5))):
                changed[int(source.integers(len(changed)))] ^= 1 << int(source.integers(8))
        case 1:
            del changed[place:]
        case 2:
            changed[place:place] = source.bytes(length)
        case 3:
            changed[place : place + length] = source.bytes(len(changed[place : place + length]))
        case _:
            part = changed[place : place + length]
            del changed[place : place + length]
            to = int(source.integers(len(changed) + 1))
            changed[to:to] = part
    return bytes(changed)


if __name__ == "__main__":
    print(json.dumps(ways(Path(sys.argv[1]))))
