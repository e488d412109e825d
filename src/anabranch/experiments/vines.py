"""Vines: exact where they are Gaussian, beside pyvinecopulib, and chosen by rows."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from anabranch.distributions import Flow, Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.transforms import CVine, DVine, RVine
from anabranch.transforms.regular_vine import vine_module

Array = NDArray[np.float64]
D, ROWS, HELD_OUT, DRAWN = 5, 20_000, 2000, 50_000
FAMILIES = "gaussian"


class Found(NamedTuple):
    """What one random Gaussian copula shows.

    Attributes:
        normal: the largest difference of a native vine's log-density to the normal copula's.
        package: the largest difference of native vines with pairs of several families to those of
            `pyvinecopulib`.
        p_value: the least of the tests of Kolmogorov and Smirnov, one for each column, that the
            Rosenblatt transform of held-out rows by the chosen vine is uniform.
        tau: the largest error of Kendall's taus of draws of the chosen vine.
        nats: how far its mean held-out log-density is below the true one.
    """

    seed: int
    normal: float
    package: float
    p_value: float
    tau: float
    nats: float


@experiment("vines", seeds=3, summary="vines: exact, beside pyvinecopulib, and chosen by rows")
def vines(run: Run) -> Outcome:
    """Five dependent variables whose copula is a normal one, with random correlations."""
    found = per_seed(run.seeds, one_copula)
    figures = [
        Figure("Gaussian vine, largest error", found.worst("normal", "lower"), 1e-10, "lower"),
        Figure(
            "native and pyvinecopulib, largest difference", found.worst("package", "lower"), 1e-8,
            "lower",
        ),
        Figure("chosen vine: least KS p-value", found.worst("p_value"), 0.01, "higher"),
        Figure("chosen vine: largest error of tau", found.worst("tau", "lower"), 0.02, "lower"),
        Figure("chosen vine: nats below the truth", found.mean("nats")),
        Figure("seconds per seed", found.seconds),
    ]  # fmt: skip
    settings = {"columns": D, "rows": ROWS, "held out": HELD_OUT, "families": FAMILIES}
    return Outcome(figures, settings, found.table(normal=".1e", package=".1e", nats=".1e"))


def one_copula(seed: int) -> Found:
    """Draw correlations, evaluate, choose and draw again."""
    generator = torch.Generator().manual_seed(seed)
    correlation = random_correlation(D, generator)
    law = torch.distributions.MultivariateNormal(torch.zeros(D).double(), correlation)
    x, held_out = (_draws(law, n, generator) for n in (ROWS, HELD_OUT))
    apart = torch.distributions.Normal(0.0, 1.0)
    truth = law.log_prob(held_out) - apart.log_prob(held_out).sum(-1)
    native = gaussian_vine(correlation).log_copula_density(held_out).detach()
    chosen = RVine(D, families=FAMILIES).double()
    chosen.fit_rows(x)
    z, _ = chosen.encode(held_out)
    tests = [stats.kstest(column, "norm").pvalue for column in z.numpy().T]
    drawn = Flow(Normal(D).double(), chosen).sample(DRAWN, generator=generator)
    expected = 2 / np.pi * np.arcsin(correlation.numpy().clip(-1, 1))
    return Found(
        seed=seed,
        normal=float((native - truth).abs().max()),
        package=beside_package(seed),
        p_value=float(min(tests)),
        tau=float(np.abs(taus(drawn.numpy()) - expected).max()),
        nats=float((truth - chosen.log_copula_density(held_out)).mean()),
    )


def random_correlation(features: int, generator: torch.Generator) -> Tensor:
    """A correlation matrix of random directions in twice as many dimensions, (D, D)."""
    factor = torch.randn(features, 2 * features, generator=generator).double()
    factor[:, 0] += 1.5
    factor = factor / factor.norm(dim=1, keepdim=True)
    return factor @ factor.T


def gaussian_vine(correlation: Tensor) -> CVine:
    """The C-vine of a correlation matrix: its pairs are partial correlations."""
    rest, trees = correlation.clone(), []
    while len(rest) > 1:
        scale = rest.diagonal().sqrt()
        trees.append(rest[0, 1:] / (scale[0] * scale[1:]))
        rest = rest[1:, 1:] - rest[1:, :1] @ rest[:1, 1:] / rest[0, 0]
    vine = CVine(len(correlation)).double()
    vine.set_pairs(trees)
    return vine


def beside_package(seed: int) -> float:
    """The largest difference between the log-densities of native vines and of the package's."""
    pv = vine_module()
    random = np.random.RandomState(seed)
    families, errors = ["clayton", "frank", "gaussian"], []
    trees = [random.uniform(0.5, 3, 3), random.uniform(1, 4, 2), random.uniform(-0.8, 0.8, 1)]
    # farther out the package rounds shares that are nearly one
    x = 0.6 * torch.from_numpy(random.standard_normal((500, 4)))
    for kind in (CVine, DVine):
        vine = kind(4, families=families).double()
        vine.set_pairs([torch.from_numpy(tree) for tree in trees])
        # the package has the first root of a C-vine last
        turned = -1 if kind is CVine else 1
        pairs = [
            [
                pv.Bicop(getattr(pv.BicopFamily, name), 0, np.array([[value]]))
                for value in tree[::turned]
            ]
            for name, tree in zip(families, trees, strict=True)
        ]
        structure = pv.CVineStructure if kind is CVine else pv.DVineStructure
        other = pv.Vinecop.from_structure(
            structure=structure([1, 2, 3, 4][::turned]), pair_copulas=pairs
        )
        expected = np.log(other.pdf(np.asfortranarray(torch.special.ndtr(x).numpy())))
        errors.append(np.abs(vine.log_copula_density(x).detach().numpy() - expected).max())
    return float(max(errors))


def taus(x: Array) -> Array:
    """Kendall's tau of each two columns, (D, D)."""
    found = np.eye(x.shape[1])
    for i in range(len(found)):
        for j in range(i):
            tau: Any = stats.kendalltau(x[:, i], x[:, j])
            found[i, j] = found[j, i] = tau.statistic
    return found


def _draws(
    law: torch.distributions.MultivariateNormal, n: int, generator: torch.Generator
) -> Tensor:
    noise = torch.randn(n, law.event_shape[0], generator=generator, dtype=torch.float64)
    return noise @ law.scale_tril.T
