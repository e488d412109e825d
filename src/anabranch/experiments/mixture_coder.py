"""A coder that clusters what it compresses, beside one without clusters."""

from math import log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anabranch import Coder
from anabranch.coding import component_information, decode_pixels, encode_pixels, information
from anabranch.coding.pixels import usual_lanes
from anabranch.data import load_sklearn
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.baselines import kmeans
from anabranch.experiments.coder_images import fastest
from anabranch.metrics import clustering_accuracy

K, TRAIN = 10, 1400
SETTINGS: dict[str, Any] = {"levels": 17, "hidden": (64, 48), "max_epochs": 60}
# One component may train as long as ten do, or half of it: more is worse, it has learned them all.
EPOCHS = (60, 120)


class Coded(NamedTuple):
    """Bits per pixel, bits an image, processor seconds, and how clusters agree with the digits."""

    seed: int
    one: float
    several: float
    back: float
    named: float
    wrong: int
    decode_one: float
    encode_one: float
    decode: float
    encode: float
    acc: float
    kmeans: float


@experiment("mixture-coder", seeds=5, summary="digits compressed and clustered by ten components")
def mixture_coder(run: Run) -> Outcome:
    """Held-out digits of 8 x 8 by a coder of ten components, and by the better of two of one."""
    rows = per_seed(run.seeds, coded)
    mean = rows.mean
    figures = [
        Figure(
            "bits per pixel, ten components less one", mean("several") - mean("one"), 0.0, "lower"
        ),
        Figure("pixels decoded wrongly", rows.worst("wrong", better="lower"), 0.0, "lower"),
        Figure(
            "bits an image above bits back, worst seed",
            rows.worst("back", better="lower"),
            log2(K),
            "lower",
        ),
        Figure(
            "decoding, times the seconds of one component",
            mean("decode") / mean("decode_one"),
            1.1,
            "lower",
        ),
        Figure("encoding, times the seconds of one component", mean("encode") / mean("encode_one")),
        Figure("bits an image for the index of its component", mean("named")),
        Figure("bits per pixel, ten components", mean("several")),
        Figure("bits per pixel, one component", mean("one")),
        Figure("ACC of the components", mean("acc")),
        Figure("ACC of k-means, which the components start from", mean("kmeans")),
    ]
    return Outcome(figures, {**SETTINGS, "epochs of one": EPOCHS, "K": K}, rows.table())


def coded(seed: int) -> Coded:
    """Both coders on one split."""
    digits = load_sklearn("digits")
    X = np.asarray(digits.X).astype(np.uint8)
    order = np.random.RandomState(seed).permutation(len(X))
    train, test = X[order[:TRAIN]], X[order[TRAIN:]]
    labels = np.asarray(digits.labels)[order[TRAIN:]]
    # the better one on the rows that both hold out of training
    ones = [fitted(train, seed, max_epochs=epochs) for epochs in EPOCHS]
    one = max(ones, key=lambda coder: coder.lower_bound_)
    several = fitted(train, seed, n_components=K)
    bits = component_information(several.integer_, test)
    sent = information(several.integer_, test)
    back = -np.logaddexp2.reduce(-bits, axis=0)
    weights = several.integer_.inputs.weights.numpy() / 2**16
    found = bits.argmin(0)
    encode_one, decode_one = seconds(one, test)
    encode, decode = seconds(several, test)
    return Coded(
        seed=seed,
        one=float(information(one.integer_, test).mean()) / 64,
        several=float(sent.mean()) / 64,
        back=float((sent - back).mean()),
        named=float(-np.log2(weights[found]).mean()),
        wrong=int((several.decompress(several.compress(test)) != test).sum()),
        decode_one=decode_one,
        encode_one=encode_one,
        decode=decode,
        encode=encode,
        acc=clustering_accuracy(labels, found),
        kmeans=clustering_accuracy(labels, kmeans(train.astype(float), K, seed).predict(test)),
    )


def fitted(train: NDArray[np.uint8], seed: int, **changes: Any) -> Coder:
    """A coder of images of 8 x 8."""
    return Coder((8, 8), random_state=seed, **SETTINGS | changes).fit(train)


def seconds(coder: Coder, pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Processor seconds of encoding and of decoding, the better of two turns each."""
    lanes = usual_lanes(len(pixels))
    code = encode_pixels(coder.integer_, pixels, lanes)
    encode = fastest(lambda: encode_pixels(coder.integer_, pixels, lanes))
    return encode, fastest(lambda: decode_pixels(coder.integer_, code, len(pixels)))
