"""Gradient estimators of the Gaussian-mixture autoencoder against enumeration and quadrature."""

import math
from typing import Any, NamedTuple

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor
from torch.distributions import Normal

from anabranch.experiments import Figure, Outcome, Rows, Run, experiment, joined, per_seed
from anabranch.models import GaussianMixtureVAE, nvisa
from anabranch.models.specs import Spec
from anabranch.objectives import Enumerated, LatentMixtureBound, Nvil, Vimco, make_bound
from anabranch.objectives.mixture_bounds import Sampled, log_weights

K, FEATURES, NODES = 3, 2, 64
# Bounds of two draws, whose pairs can be enumerated; the variance is looked at for more, too. NVIL
# is given one draw, as published, and the best of all baselines, which a network would learn.
SAMPLES, MANY = 2, 15
BATCHES, ROWS = 400, 25
FORMS: dict[str, dict[str, Any]] = {
    "EnumY": {"name": "enumerate", "samples": 1},
    "VIMCO, z reparameterised": {"name": "vimco", "reparameterized": True},
    "VIMCO, z as given": {"name": "vimco"},
    "NVIL": {"name": "nvil", "samples": 1},
}


class Gradient(NamedTuple):
    """An estimator: errors of its expectation and draws, variances with few and many draws."""

    seed: int
    estimator: str
    relative_error: float
    standard_errors: float
    variance: float
    variance_many: float


@experiment(
    "nvisa-gradients", seeds=3, summary="VIMCO, NVIL and EnumY against enumeration and quadrature"
)
def nvisa_gradients(run: Run) -> Outcome:
    """A mixture of three components over one latent variable, whose bounds can be integrated."""
    found = {name: per_seed(run.seeds, gradient, name) for name in FORMS}
    figures = []
    for name, rows in found.items():
        exact, drawn = rows.best("relative_error"), rows.best("standard_errors")
        figures += [
            Figure(f"{name}: largest relative error of its expectation", exact, 1e-6, "lower"),
            Figure(f"{name}: largest error of its draws, standard errors", drawn, 3, "lower"),
        ]
    figures += _shares(found["VIMCO, z as given"], found["NVIL"])
    figures.append(Figure("seconds per seed", sum(rows.seconds for rows in found.values())))
    settings = {"K": K, "nodes": NODES, "samples": SAMPLES, "batches": BATCHES, "rows": ROWS}
    return Outcome(figures, settings, joined(found.values()).table(relative_error=".1e"))


def _shares(vimco: Rows[Gradient], nvil: Rows[Gradient]) -> list[Figure]:
    """VIMCO's variance, z as given, as a share of NVIL's: the largest over seeds."""
    two, more, learned = (
        vimco.column("variance"),
        vimco.column("variance_many"),
        nvil.column("variance"),
    )
    few = (two / [_fresh(row.seed, SAMPLES) for row in nvil]).max()
    many = (more / [_fresh(row.seed, MANY) for row in nvil]).max()
    as_published, same = (more / learned).max(), (two / learned).max()
    name = "VIMCO's variance, a share of NVIL's"
    return [
        Figure(f"{name} without a baseline, {SAMPLES} draws both", few, 1.0, "lower"),
        Figure(f"{name} without a baseline, {MANY} draws both", many),
        Figure(f"{name} with the best one, {MANY} draws and 1", as_published, 1.0, "lower"),
        Figure(f"{name} with the best one, {SAMPLES} draws and 1", same),
    ]


def _fresh(seed: int, samples: int) -> float:
    """NVIL's variance before its baseline has learned anything."""
    objective = tiny(seed, name="nvil", samples=samples)
    objective.bound = Nvil(_Constant(0.0), samples).double()
    return float(_variance(objective, observation(seed), seed))


def gradient(seed: int, name: str) -> Gradient:
    """Compare one estimator with the gradient of its bound."""
    how, x = FORMS[name], observation(seed)
    objective = tiny(seed, **{"samples": SAMPLES, **how})
    exact = flat_gradient(objective, exact_bound(objective, x))
    error = (expected_gradient(objective, x) - exact).norm() / exact.norm()
    mean, variance = sampled_gradient(objective, x, seed)
    distance = (mean - exact).norm() / (variance.sum() / (BATCHES * ROWS)).sqrt()
    many = tiny(seed, **{"samples": MANY, **how})
    found = error, distance, variance.sum(), _variance(many, x, seed)
    return Gradient(seed, name, *map(float, found))


def tiny(seed: int, *, prior: Spec = "gaussian", **spec: Any) -> LatentMixtureBound:
    """A bound of a model in float64, with smooth networks, and NVIL's baseline set to the bound."""
    size: dict[str, Any] = {"latent": 1, "hidden": [6], "activation": "tanh", "floor": 0.3}
    model: Any = nvisa(FEATURES, K, **size, prior=prior, seed=seed)
    bound = make_bound(spec, FEATURES)
    if isinstance(bound, Nvil):
        best = _Constant(elbo(model.double(), observation(seed)).item())
        bound = Nvil(best, bound.samples, reparameterized=bound.reparameterized)
    # in evaluation NVIL's signals are not normalised
    return LatentMixtureBound(model, bound).double().eval()


class _Constant(torch.nn.Module):
    """The best that a baseline network could learn, for one observation."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return x.new_full((len(x), 1), self.value)


def observation(seed: int) -> Tensor:
    """One column, (D, 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(FEATURES, 1, generator=generator, dtype=torch.float64)


def flat_gradient(model: torch.nn.Module, value: Tensor) -> Tensor:
    """The gradient of all parameters in one vector."""
    parameters = list(model.parameters())
    given = torch.autograd.grad(value, parameters, allow_unused=True)
    pairs = zip(given, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def quadrature() -> tuple[Tensor, Tensor]:
    """Nodes of a standard normal, and their weights, (NODES,) each."""
    nodes, weights = hermegauss(NODES)
    return torch.as_tensor(nodes), torch.as_tensor(weights / math.sqrt(2 * math.pi))


# -- what is true, by torch's own distributions ---------------------------------------------------


def log_weight_table(model: GaussianMixtureVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """Log w at every label and node, (K, NODES), and its probability, which has gradients."""
    nodes, weights = quadrature()
    log_q = torch.log_softmax(model.classifier(x.mT)[0], 0)
    loc, raw = model.encoder.columns(x)[..., 0]  # (K,) each
    scale = torch.nn.functional.softplus(raw) + model.floor
    z = loc[:, None] + scale[:, None] * nodes
    means, raws = model.decoder(z.reshape(-1, 1)).chunk(2, -1)
    likelihood = Normal(means, torch.nn.functional.softplus(raws) + model.floor)
    log_p = likelihood.log_prob(x.mT).sum(-1).reshape(z.shape)
    prior_std = torch.nn.functional.softplus(model.prior.scale[0]) + 1
    log_p = log_p + Normal(model.prior.mean[0, :, None], prior_std[:, None]).log_prob(z)
    log_q_z = Normal(loc[:, None], scale[:, None]).log_prob(z)
    table = log_p - math.log(K) - log_q[:, None] - log_q_z
    return table, log_q.exp()[:, None] * weights


def elbo(model: GaussianMixtureVAE, x: Tensor) -> Tensor:
    """The evidence lower bound."""
    table, probability = log_weight_table(model, x)
    return (probability * table).sum()


def exact_bound(objective: LatentMixtureBound, x: Tensor) -> Tensor:
    """The bound that the objective has as its expectation."""
    model: Any = objective.model
    if not isinstance(objective.bound, Vimco):
        return elbo(model, x)
    table, probability = (t.flatten() for t in log_weight_table(model, x))
    pairs = torch.logaddexp(table[:, None], table) - math.log(2)
    return (probability[:, None] * probability * pairs).sum()


# -- what the estimators do ------------------------------------------------------------------------


def expected_gradient(objective: LatentMixtureBound, x: Tensor) -> Tensor:
    """The mean of the estimator's gradient over all its draws."""
    nodes, weights = quadrature()
    model: Any = objective.model
    bound = objective.bound
    if isinstance(bound, Enumerated):
        columns = x.expand(-1, NODES)
        noise = nodes.expand(1, 1, K, NODES)
        found = bound.at(model, columns, model.log_q(columns.mT), noise)
        return flat_gradient(objective, (weights * found).sum())
    assert isinstance(bound, Sampled)
    single = torch.cartesian_prod(torch.arange(K), torch.arange(NODES))
    places = torch.cartesian_prod(*[torch.arange(len(single))] * bound.samples)
    label, node = single[places.reshape(-1, bound.samples).mT].unbind(-1)  # (M, N) each
    columns = x.expand(-1, label.shape[1])
    log_q = model.log_q(columns.mT)
    y = torch.nn.functional.one_hot(label, K).permute(2, 0, 1).to(x.dtype)
    how = {"reparameterized": bound.reparameterized}
    drawn = log_weights(model, columns, log_q, y, nodes[node][None], **how)
    surrogate = bound.at(columns, *drawn)[1]
    probability = (weights[node] * log_q.exp().gather(0, label)).prod(0).detach()
    return flat_gradient(objective, (probability * surrogate).sum())


def sampled_gradient(objective: LatentMixtureBound, x: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Mean of the gradients of BATCHES of ROWS draws, and the variance of one draw's."""
    source = torch.Generator().manual_seed(seed)
    objective.train()
    gradients = []
    for _ in range(BATCHES):
        if isinstance(objective.bound, Nvil):
            objective.bound.spread.fill_(1.0)  # as it is without normalisation
        total = objective({"x": x.mT.expand(ROWS, -1)}, generator=source).total
        gradients.append(-flat_gradient(objective, total))
    objective.eval()
    stacked = torch.stack(gradients)
    return stacked.mean(0), ROWS * stacked.var(0)


def _variance(objective: LatentMixtureBound, x: Tensor, seed: int) -> Tensor:
    return sampled_gradient(objective, x, seed)[1].sum()
