"""Lossless coding of images, beside the coders that everyone has."""

import lzma
import time
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch import Coder
from anabranch.coding import IntegerModel, decode_pixels, encode_pixels, information
from anabranch.coding.packing import model_bytes
from anabranch.coding.pixels import usual_lanes
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.image_data import images

Pixels = NDArray[np.uint8]
SETTINGS: dict[str, Any] = {"fit_options": {"validation_fraction": 0.01}}
MIRRORED = {"fashion-mnist": 21, "mnist": 0}
# Epochs of 5000 images: "cpu" takes less than five minutes of two cores, "full" less than fifteen.
EPOCHS = {"cpu": 12, "full": 60}
# Bits per pixel: five minutes of training on two cores, and fifteen; and cpu-seconds of these.
TARGETS = {"fashion-mnist": (3.20, 3.10), "mnist": (1.15, 1.08)}
# What JPEG XL 0.11 at effort 9 takes for one mosaic, to be beaten with the model counted.
JPEG_XL = {"fashion-mnist": 3.661}
SECONDS = {"cpu": 600.0, "full": 1800.0}
# Images of which speeds are measured.
TIMED = 500


class Coded(NamedTuple):
    """What coding the test images came to; rates in bits per pixel, speeds in MB per cpu-second."""

    seed: int
    rate: float
    charged: float
    information: float
    rounding: float
    wrong: int
    training: float
    model_kb: float
    encode: float
    decode: float
    xz: float
    jxl: float
    jxl_encode: float
    jxl_decode: float


@experiment("coder-fashion", seeds=1, summary="lossless coding of Fashion-MNIST", needs_data=True)
def coder_fashion(run: Run) -> Outcome:
    """The file of the 10 000 test images, after training on others."""
    return coded_images(run, "fashion-mnist")


@experiment("coder-mnist", seeds=1, summary="lossless coding of MNIST", needs_data=True)
def coder_mnist(run: Run) -> Outcome:
    """The file of the 10 000 test images, after training on others."""
    return coded_images(run, "mnist")


def coded_images(run: Run, folder: str) -> Outcome:
    """Rates, with the model and without, beside xz and JPEG XL of one mosaic of the same images."""
    rows = per_seed(run.seeds, coded, folder, run)
    mean = rows.mean
    short, long = TARGETS[folder]
    excess = 100 * (mean("rate") / mean("information") - 1)
    gain = (mean("jxl") - mean("rate")) * 784 / 8 / 1000
    pays = mean("model_kb") / gain if gain > 0 else inf
    charged = Figure("bits per pixel with the model", mean("charged"))
    if folder in JPEG_XL:
        charged = replace(charged, target=JPEG_XL[folder], better="lower")
    figures = [
        Figure("bits per pixel, file of the test images", mean("rate"), short, "lower"),
        Figure("the same, beside the target for 15 minutes", mean("rate"), long, "lower"),
        Figure("cpu-seconds of training", mean("training"), SECONDS[run.budget], "lower"),
        Figure("file above information, %", excess, 0.5, "lower"),
        Figure("rounding to whole numbers, %", 100 * mean("rounding"), 0.5, "lower"),
        Figure("pixels decoded wrongly", mean("wrong"), 0.0, "lower"),
        charged,
        Figure("JPEG XL e9, mosaic, bits per pixel", mean("jxl")),
        Figure("xz, raw pixels, bits per pixel", mean("xz")),
        Figure("model, kB", mean("model_kb")),
        Figure("images from which the model pays against JPEG XL", pays),
        Figure(
            "encode, share of JPEG XL's speed", mean("encode") / mean("jxl_encode"), 1.0, "higher"
        ),
        Figure("decode, share of encode's speed", mean("decode") / mean("encode"), 1.0, "higher"),
        Figure("encode, MB per cpu-second", mean("encode")),
        Figure("decode, MB per cpu-second", mean("decode")),
        Figure("JPEG XL e9 encode, MB per cpu-second", mean("jxl_encode")),
        Figure("JPEG XL e9 decode, MB per cpu-second", mean("jxl_decode")),
    ]
    settings = SETTINGS | {"n_mirrored": MIRRORED[folder], "max_epochs": EPOCHS[run.budget]}
    return Outcome(figures, settings, rows.table())


def coded(seed: int, folder: str, run: Run) -> Coded:
    """Fit a coder to training images, and code the test images with it."""
    train, test = (images(run, folder, part)[0].astype(np.uint8) for part in ("train", "t10k"))
    started = time.process_time()
    coder = Coder(
        (28, 28),
        n_mirrored=MIRRORED[folder],
        max_epochs=EPOCHS[run.budget],
        random_state=seed,
        **SETTINGS,
    ).fit(train)
    training = time.process_time() - started
    file = coder.compress(test, verify=False)
    wrong = int((coder.decompress(file) != test).sum())
    model = len(model_bytes(coder.integer_))
    encode, decode = speeds(coder.integer_, test[:TIMED])
    mosaic = test[: len(test) // 100 * 100].reshape(-1, 100, 28, 28).swapaxes(1, 2)
    jxl, jxl_encode, jxl_decode = jpeg_xl(mosaic.reshape(-1, 2800))
    per_pixel = 8 / test.size
    return Coded(
        seed,
        per_pixel * len(file),
        per_pixel * (len(file) + model),
        float(information(coder.integer_, test).sum()) / test.size,
        coder.rounding_,
        wrong,
        training,
        model / 1000,
        encode,
        decode,
        per_pixel * len(lzma.compress(test.tobytes(), preset=9 | lzma.PRESET_EXTREME)),
        jxl,
        jxl_encode,
        jxl_decode,
    )


def speeds(model: IntegerModel, pixels: Pixels) -> tuple[float, float]:
    """MB per cpu-second of encoding and of decoding, the better of two turns."""
    lanes = usual_lanes(len(pixels))
    code = encode_pixels(model, pixels, lanes)
    encode = fastest(lambda: encode_pixels(model, pixels, lanes))
    decode = fastest(lambda: decode_pixels(model, code, len(pixels)))
    return pixels.size / 1e6 / encode, pixels.size / 1e6 / decode


def jpeg_xl(picture: Pixels) -> tuple[float, float, float]:
    """Bits per pixel, and MB per cpu-second of encoding and decoding; NaN without imagecodecs."""
    try:
        # of the group `bench`, which the checks do not install
        from imagecodecs import (  # pyright: ignore[reportMissingImports]
            jpegxl_decode,
            jpegxl_encode,
        )
    except ImportError:
        return float("nan"), float("nan"), float("nan")
    options: dict[str, Any] = {"lossless": True, "effort": 9, "numthreads": 1}
    file = jpegxl_encode(picture, **options)
    part = picture[: 28 * (TIMED // 100)]
    small = jpegxl_encode(part, **options)
    encode = fastest(lambda: jpegxl_encode(part, **options))
    decode = fastest(lambda: jpegxl_decode(small, numthreads=1))
    size = part.size / 1e6
    return 8 * len(file) / picture.size, size / encode, size / decode


def fastest(work: Callable[[], object]) -> float:
    """Cpu-seconds of the better of two turns."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)
