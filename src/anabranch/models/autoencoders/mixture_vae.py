"""A variational autoencoder whose prior is a mixture, by the objectives that train it."""

import math

import torch
from torch import Tensor, nn

from anabranch.distributions import Distribution
from anabranch.functional import normal_log_prob
from anabranch.models.autoencoders.draws import gumbel_draws, normal_draws, one_hot_of_largest
from anabranch.models.autoencoders.latent_mixture import LatentMixture
from anabranch.models.autoencoders.mixture_terms import mixture_terms
from anabranch.networks import MLP, ConvDecoder, ConvEncoder, LabelledMLP
from anabranch.objectives import (
    Loss,
    balance,
    consistency,
    cross_entropy,
    elbo_enumerated,
    iwae,
    nvil,
    vimco,
)
from anabranch.objectives.perturbations import Perturbation

OBJECTIVES = ("enumerate", "gumbel", "iwae", "nvil", "vimco")
INFERENCES = ("invariant", "variational")
# Log-probability of labels that a labelled row does not have: no draw takes them, nothing is NaN.
NEVER = math.log(1e-30)
SPREAD_DECAY = 0.05


class GaussianMixtureVAE(LatentMixture):
    r"""A mixture of Gaussians in a latent space, and networks from there to the data and back.

    .. math:: p(x) = \sum_y \frac1K \int \mathcal N(z; \mu_y, \sigma_y^2)\, p(x \mid z)\, dz,
        \qquad q(y, z \mid x) = q(y \mid x)\, q(z \mid y, x)

    with standard deviations softplus + 1 in the prior, and softplus + floor in :math:`p(x \mid z)`
    and :math:`q(z \mid y, x)`. In the terms of :math:`\log w = \log p(x, y, z) - \log q(y, z \mid
    x)`, an ``objective`` maximises

    - "enumerate": :math:`\sum_y q(y \mid x)\, E_{q(z \mid y, x)} \log w`, y summed exactly and z
      reparameterised;
    - "iwae": the same with a bound of M draws of z for each y in place of the expectation;
    - "vimco": :math:`E \log \frac1M \sum_m w_m` over draws of (y, z), each the baseline of others;
    - "nvil": :math:`E \log w` over draws of (y, z), with a baseline network of x;
    - "gumbel": the bound of "vimco", its gradient by a relaxed y (straight-through).

    Where z is not ``reparameterized``, "vimco" and "nvil" take it as given, like y.

    With ``inference="invariant"`` the bound takes q(y|x) as given, which learns from consistency,
    balance and labels alone: what clusters are is then no matter of pixels.

    The value of the loss is minus the bound; its gradient is that of the estimator.

    Source: Li, Zhao, Xu, Chen, Xu, Li, Pei (2021), "Unsupervised clustering through Gaussian
    mixture variational autoencoder with non-reparameterized variational inference and std
    annealing"; Jang, Gu, Poole (2016), arXiv:1611.01144, for the relaxation.

    Args:
        classifier: a network from (N, D) to (N, K) logits of q(y|x).
        encoder: gives mean and scale of q(z|y,x), (2 L, ...); without labels it is q(z|x).
        decoder: from z to the parameters of p(x|z): D logits, or D means and D scales.
        n_components: K.
        latent: L.
        likelihood: "gaussian" or "bernoulli".
        objective: see above.
        samples: M; None for 15 in "vimco" and "iwae", 1 in the others.
        reparameterized: whether gradients flow through z in "vimco" and "nvil".
        inference: "variational", or "invariant"; see above.
        prior_flows: K flows over z, stacked, that bend the Gaussians of the prior (`MixturePrior`);
            None for Gaussians.
        baseline: of "nvil", from (N, D) to (N, 1).
        floor: of the standard deviations at the start; a schedule may lower ``model.floor``.
        temperature: of the relaxed y in "gumbel".
        perturbation: what q(y|x) should not depend on (`anabranch.objectives.perturbations`).
        consistency_weight: factor of KL(q(y|x) || q(y|x'')), in nats.
        balance_weight: factor of H(q(y|x)) - 4 H(mean q).
        label_weight: factor of the cross-entropy of q(y|x) on labelled rows.
        half_precision: evaluate the networks in bfloat16, which modern processors do faster.
        generator: source of the initial means of the prior.

    Batches are dicts: ``x`` (N, D); optionally ``targets`` (N, K), rows of zeros where unknown. A
    labelled row maximises the bound of log p(x, y) and teaches q(y|x). In evaluation mode the terms
    are ``bound``, ``entropy_q``: mean H(q(y|x)), and ``entropy_mean_q``: H(mean q), in nats; draws
    are then the same at every call.

    Attributes:
        floor: lower bound of both standard deviations; part of the state.
        generator: source of the draws in training; None for torch's own.

    Raises:
        ValueError: for an unknown objective, likelihood or inference, too few samples, no baseline
            where one is needed, or an invariant inference with nothing to be invariant to.
    """

    spread: Tensor

    def __init__(
        self,
        classifier: nn.Module,
        encoder: LabelledMLP | ConvEncoder,
        decoder: MLP | ConvDecoder,
        *,
        n_components: int,
        latent: int,
        likelihood: str = "gaussian",
        objective: str = "vimco",
        samples: int | None = None,
        reparameterized: bool = False,
        inference: str = "variational",
        prior_flows: Distribution | None = None,
        baseline: nn.Module | None = None,
        floor: float = 1e-4,
        temperature: float = 0.5,
        perturbation: Perturbation | None = None,
        consistency_weight: float = 0.0,
        balance_weight: float = 0.0,
        label_weight: float = 1.0,
        half_precision: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        samples = _check(n_components, objective, samples, floor)
        if objective == "nvil" and baseline is None:
            raise ValueError("objective='nvil' needs a baseline network")
        if inference not in INFERENCES:
            raise ValueError(f"inference must be one of {INFERENCES}, got {inference!r}")
        if inference == "invariant" and not (perturbation and consistency_weight):
            raise ValueError("inference='invariant' needs a perturbation and a consistency weight")
        super().__init__(
            classifier,
            encoder,
            decoder,
            n_components=n_components,
            latent=latent,
            likelihood=likelihood,
            prior_flows=prior_flows,
            floor=floor,
            half_precision=half_precision,
            generator=generator,
        )
        self.inference = inference
        self.objective, self.samples, self.reparameterized = objective, samples, reparameterized
        self.baseline, self.temperature, self.perturbation = baseline, temperature, perturbation
        self.consistency_weight, self.balance_weight = consistency_weight, balance_weight
        self.label_weight = label_weight
        self.generator: torch.Generator | None = None
        self.register_buffer("spread", torch.ones(()))

    # -- training --------------------------------------------------------------------------------

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        """The loss of a batch; in evaluation mode with terms."""
        x = batch["x"]
        logits, regularisation = self._logits(x)
        log_q = own = torch.log_softmax(logits, dim=0)
        targets = batch["targets"].mT if "targets" in batch else None
        if targets is not None:
            log_q = torch.where(targets.sum(0) > 0, targets.log().clamp_min(NEVER), log_q)
        if self.inference == "invariant":
            log_q = log_q.detach()
        bound, surrogate = self._bound(x.mT, log_q)
        loss = -(bound.detach() + surrogate - surrogate.detach())
        if targets is not None:
            loss = loss + self.label_weight * cross_entropy(own, targets)
        total = loss.mean() if regularisation is None else loss.mean() + regularisation
        return Loss(total, {} if self.training else mixture_terms(bound, own))

    def _logits(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits of q(y|x), (K, N), and the regularisation of q while training."""
        if not self.training or self.perturbation is None:
            return self._logits_of(x), None
        moved = self.perturbation(x, self.log_q, self.generator)
        logits = self._logits_of(torch.cat((x, moved)))
        log_q, log_q_moved = torch.log_softmax(logits, dim=0).split(len(x), dim=1)
        term = self.consistency_weight * consistency(log_q, log_q_moved).mean()
        if self.balance_weight:
            term = term + self.balance_weight * balance(log_q, 4.0)
        return logits[:, : len(x)], term

    def _bound(self, x: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of columns x, (N,), and what has the gradient of the estimator."""
        source = self._source(x)
        if self.objective in ("enumerate", "iwae"):
            n_labels = 1 if self.encoder.label is None else self.n_components
            noise = normal_draws((self.latent, self.samples, n_labels, x.shape[1]), x, source)
            bound = self.enumerated_bound(x, log_q, noise)
            return bound, bound
        y = self.draw_labels(log_q, source)
        noise = normal_draws((self.latent, self.samples, x.shape[1]), x, source)
        log_w, score = self.log_weights(x, log_q, y, noise)
        return self.sampled_bound(x, log_w, score)

    def enumerated_bound(self, x: Tensor, log_q: Tensor, noise: Tensor) -> Tensor:
        """The lower bound with y summed over exactly.

        Args:
            x: columns (D, N).
            log_q: log q(y|x), (K, N).
            noise: standard normal draws (L, M, K, N), or (L, M, 1, N) where q(z|x) has no y.

        Returns:
            (N,) in nats.
        """
        loc, scale = self._encoded(x)
        loc, scale = loc.unsqueeze(1), scale.unsqueeze(1)
        z = loc + scale * noise
        log_w = self._log_likelihood(x, z) + self.prior.log_prob_of_each(z)
        log_w = log_w - normal_log_prob(z, loc, scale)  # (M, K, N)
        inner = iwae(log_w) if self.objective == "iwae" else log_w.mean(0)
        return elbo_enumerated(inner - math.log(self.n_components), log_q)

    def log_weights(
        self, x: Tensor, log_q: Tensor, y: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        r"""Log-weights of draws, and the log-probability of what was drawn without gradients.

        Args:
            x: columns (D, N).
            log_q: log q(y|x), (K, N).
            y: one-hot labels (K, M, N).
            noise: standard normal draws (L, M, N), which become draws of z.

        Returns:
            :math:`\log p(x, y, z) - \log q(y, z \mid x)`, and the score, (M, N) each.
        """
        loc, scale = self._encoded(x, y)
        z = loc + scale * noise
        through = self.reparameterized or self.objective == "gumbel"
        if not through:
            z = z.detach()
        log_q_y = (y * log_q.unsqueeze(1)).sum(0)
        log_q_z = normal_log_prob(z, loc, scale)
        log_w = self._log_likelihood(x, z) + self.prior.log_prob(z, y) - log_q_z - log_q_y
        return log_w - math.log(self.n_components), log_q_y if through else log_q_y + log_q_z

    def sampled_bound(self, x: Tensor, log_w: Tensor, score: Tensor) -> tuple[Tensor, Tensor]:
        """The bound of log-weights, (N,), and what has the gradient of the estimator."""
        if self.objective == "vimco":
            return iwae(log_w), vimco(log_w, score)
        if self.objective != "nvil":
            bound = iwae(log_w)
            return bound, bound
        assert self.baseline is not None
        expected = self.baseline(x.mT).squeeze(-1)
        if self.training:
            self._follow_spread(log_w.detach() - expected.detach())
        return log_w.mean(0), nvil(log_w, score, expected, self.spread)

    def draw_labels(self, log_q: Tensor, source: torch.Generator | None) -> Tensor:
        """Draws from q(y|x), one-hot (K, M, N); with a relaxed gradient for "gumbel"."""
        shape = (self.n_components, self.samples, log_q.shape[1])
        perturbed = log_q.unsqueeze(1) + gumbel_draws(shape, log_q, source)
        y = one_hot_of_largest(perturbed)
        if self.objective != "gumbel":
            return y
        soft = torch.softmax(perturbed / self.temperature, dim=0)
        return y + soft - soft.detach()

    @torch.no_grad()
    def _follow_spread(self, error: Tensor) -> None:
        size = error.square().mean().sqrt()
        # a step that is not finite is skipped, and must leave no trace here either
        self.spread.lerp_(torch.where(size.isfinite(), size, self.spread), SPREAD_DECAY)

    # -- use -------------------------------------------------------------------------------------

    @torch.no_grad()
    def importance_log_prob(
        self, x: Tensor, n_samples: int = 100, generator: torch.Generator | None = None
    ) -> Tensor:
        r"""An estimate of log p(x) from below: the bound of S draws of (y, z) from q.

        .. math:: \log \frac1S \sum_s \frac{p(x, y_s, z_s)}{q(y_s, z_s \mid x)}

        All rows share the noise that draws are made of, so that the estimate of a row does not
        depend on the rows beside it.

        Args:
            x: (N, D).
            n_samples: S.
            generator: source of the noise; None for the same noise at every call.

        Returns:
            (N,) in nats; its expectation is below log p(x) and rises with S.
        """
        if generator is None:
            generator = torch.Generator(x.device).manual_seed(0)
        log_q = self.log_q(x)
        gumbel = gumbel_draws((self.n_components, n_samples, 1), x, generator)
        y = one_hot_of_largest(log_q.unsqueeze(1) + gumbel)
        noise = normal_draws((self.latent, n_samples, 1), x, generator)
        return iwae(self.log_weights(x.mT, log_q, y, noise)[0])

    def _source(self, like: Tensor) -> torch.Generator | None:
        # in evaluation the same noise every time, so that scores can be compared
        return self.generator if self.training else torch.Generator(like.device).manual_seed(0)


def _check(n_components: int, objective: str, samples: int | None, floor: float) -> int:
    """Refuse settings that cannot be; give the number of samples."""
    if n_components < 1:
        raise ValueError(f"n_components must be at least 1, got {n_components}")
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {OBJECTIVES}, got {objective!r}")
    if not floor > 0:
        raise ValueError(f"floor must be positive, got {floor}")
    if samples is None:
        samples = 15 if objective in ("iwae", "vimco") else 1
    least = 2 if objective == "vimco" else 1
    if samples < least:
        raise ValueError(f"samples must be at least {least} for {objective!r}, got {samples}")
    return samples
