"""Draws of autoencoders whose codes have a vine, beside other densities of codes and a VAE."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

from anabranch.distributions import Distribution, Flow, Normal
from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, per_seed, table_of_means
from anabranch.experiments.image_data import images
from anabranch.experiments.pictures import image_sheet
from anabranch.metrics import maximum_mean_discrepancy, nearest_neighbour_accuracy
from anabranch.models import CodeGenerator, vae, vine, vine_autoencoder
from anabranch.models.autoencoders.vae import VariationalAutoencoder
from anabranch.objectives import VariationalBound
from anabranch.procedures import TrainingRun, fit_rows, fit_vine_autoencoder
from anabranch.training import CosineDecay, FitOptions
from anabranch.transforms import TriangularAffine

Array = NDArray[np.float64]
LATENT, HIDDEN, BATCH, RATE = 8, [128, 64], 100, 2e-3
SETS = {"digits": (1200, 1500), "mnist": (10_000, 3000)}  # rows to train on, and steps
TESTED, SHOWN, PILOT = 597, 10, 50
WAYS = ("vine", "gaussian", "independent", "vae")
# of codes in units of their standard deviations
WIDTHS = (0.5, 1.0, 2.0)


class Drawn(NamedTuple):
    """How draws differ from held-out images, as codes of the autoencoder.

    Attributes:
        nearest: accuracy of nearest neighbours that tell them apart; a half is none.
        off: its distance from a half.
        mmd: maximum mean discrepancy.
        pixels: accuracy of nearest neighbours among the pixels of images.
        seconds: of training.
        drawn: some images.
    """

    nearest: float
    off: float
    mmd: float
    pixels: float
    seconds: float
    drawn: Array


@experiment(
    "vine-autoencoder",
    seeds=2,
    summary="a vine on codes of digits and MNIST, beside Gaussian, independent and a VAE",
    needs_data=True,
)
def vine_autoencoders(run: Run) -> Outcome:
    """One autoencoder, three densities of its codes; the VAE has its networks and its time."""
    figures, tables, sheets = [], [], {}
    for name in SETS:
        x, test = _images(run, name)
        found = {way: per_seed(run.seeds, one_way, way, name, x, test) for way in WAYS}
        figures += figures_of(name, found)
        tables.append(table_of_means(name, found))
        sheets[f"{name}.png"] = drawn_picture([rows[0].drawn for rows in found.values()])
    settings = {
        "latent": LATENT, "hidden": HIDDEN, "batch_size": BATCH, "learning_rate": RATE,
        "rows and steps": SETS, "tested": TESTED, "widths": WIDTHS,
    }  # fmt: skip
    return Outcome(figures, settings, "\n\n".join(tables), sheets)


def figures_of(name: str, found: dict[str, Rows[Drawn]]) -> list[Figure]:
    """How much nearer to a half the vine is than the others, and all measurements."""
    ours = found["vine"]
    figures = []
    for other in ("gaussian", "independent"):
        nearer = found[other].mean("off") - ours.mean("off")
        less = found[other].mean("mmd") - ours.mean("mmd")
        figures += [
            Figure(f"{name}: 1-NN nearer to a half than {other}", nearer, 0.03, "higher"),
            Figure(f"{name}: MMD below that of {other}", less, 0.0, "higher"),
        ]
    for way, rows in found.items():
        figures += [
            Figure(f"{name}: 1-NN accuracy, {way}", rows.mean("nearest")),
            Figure(f"{name}: MMD, {way}", rows.mean("mmd")),
        ]
    return figures


def one_way(seed: int, way: str, name: str, x: Tensor, test: Tensor) -> Drawn:
    """Train the autoencoder of this seed, and draw by one density of its codes, or by a VAE."""
    model, seconds = trained(seed, name, x)
    source = torch.Generator().manual_seed(seed)
    n = len(test)
    with torch.no_grad():
        held_out, codes = model.encode(test), model.encode(x)
        if way == "vae":
            drawn = vae_draws(seed, x, seconds, n)
            found = model.encode(drawn)
        else:
            law = model.codes if way == "vine" else DENSITIES[way](codes)
            found = law.sample(n, generator=source)
            drawn = model.decode(found)
    loc, scale = codes.mean(0), codes.std(0)
    ours, theirs = (((part - loc) / scale).double().numpy() for part in (held_out, found))
    nearest = nearest_neighbour_accuracy(ours, theirs)
    return Drawn(
        nearest=nearest,
        off=abs(nearest - 0.5),
        mmd=maximum_mean_discrepancy(ours, theirs, widths=WIDTHS),
        pixels=nearest_neighbour_accuracy(test.numpy(), drawn.numpy()),
        seconds=seconds,
        drawn=drawn[:SHOWN].double().numpy(),
    )


def trained(seed: int, name: str, x: Tensor) -> tuple[CodeGenerator, float]:
    """The autoencoder with its vine, and the seconds that both took."""
    model = vine_autoencoder(
        x.shape[1], latent=LATENT, hidden=HIDDEN, likelihood="bernoulli", seed=seed
    )
    started = time.perf_counter()
    fit_vine_autoencoder(model, x, _training(seed, SETS[name][1], len(x)))
    return model.eval(), time.perf_counter() - started


def vae_draws(seed: int, x: Tensor, seconds: float, n: int) -> Tensor:
    """Images of a VAE that has trained for as long, with as many steps as that gives."""
    per_step = _fitted_vae(seed, x, PILOT)[1] / PILOT
    model, _ = _fitted_vae(seed, x, max(PILOT, int(seconds / per_step)))
    with torch.no_grad():
        z = torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed))
        return model.eval().decode(z)


def _fitted_vae(seed: int, x: Tensor, steps: int) -> tuple[VariationalAutoencoder, float]:
    """A VAE of the autoencoder's sizes after so many steps, and the seconds they took."""
    model = vae(x.shape[1], latent=LATENT, hidden=HIDDEN, likelihood="bernoulli", seed=seed)
    run = _training(seed, steps, len(x))
    started = time.perf_counter()
    with torch.enable_grad():
        run.fit(VariationalBound(model), {"x": x})
    return model, time.perf_counter() - started


def _gaussian(codes: Tensor) -> Distribution:
    affine = TriangularAffine(LATENT)
    affine.set_gaussian(codes.mean(0), torch.linalg.cholesky(codes.double().mT.cov()))
    return Flow(Normal(LATENT), affine)


def _independent(codes: Tensor) -> Distribution:
    """The marginals of the vine, with no vine behind them."""
    flow = vine(LATENT)
    layers: Any = flow.transform
    marginals = layers.transforms[0]
    alone = Flow(Normal(LATENT), marginals)
    fit_rows(alone, codes)
    return alone


DENSITIES: dict[str, Callable[[Tensor], Distribution]] = {
    "gaussian": _gaussian,
    "independent": _independent,
}


def drawn_picture(rows: list[Array]) -> bytes:
    """One row of images for each way."""
    side = int(rows[0].shape[1] ** 0.5)
    return image_sheet([255 * row.reshape(-1, 1, side, side) for row in rows], 256)


def _training(seed: int, steps: int, n: int) -> TrainingRun:
    options = FitOptions(
        max_epochs=max(1, steps * BATCH // n), batch_size=BATCH, learning_rate=RATE,
        patience=None, progress=False,
    )  # fmt: skip
    source, noise = (torch.Generator().manual_seed(seed) for _ in range(2))
    return TrainingRun(options, source, noise, [CosineDecay(steps)], keep="last")


def _images(run: Run, name: str) -> tuple[Tensor, Tensor]:
    """Shares of white of training images, and as many held out as are tested."""
    if name == "digits":
        digits: Any = load_digits()
        X = digits.data / 16
        order = np.random.RandomState(100 if run.tuning else 0).permutation(len(X))
        rows = X[order]
        train, test = rows[: SETS[name][0]], rows[SETS[name][0] :]
    else:
        train, test = (images(run, name, part)[0] / 255 for part in ("train", "t10k"))
    parts = train[: SETS[name][0]], test[:TESTED]
    first, second = (torch.from_numpy(part).float() for part in parts)
    return first, second
