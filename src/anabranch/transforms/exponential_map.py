"""Exponential-map flows on spheres."""

import torch
from torch import Generator, Tensor, nn

from anabranch.contracts.domain import Sphere
from anabranch.contracts.transform import Pair, Transform
from anabranch.functional import expand_batch
from anabranch.functional.roots import limited
from anabranch.functional.shapes import Shape
from anabranch.functional.sphere import cos_and_sinc, exponential, tangent_basis, unit

STAGES, STEPS = 8, 6  # of the inverse: shares of the potential, and steps of Newton's method each


class ExponentialMap(Transform):
    r"""Walk from each point of the sphere along the gradient of a potential.

    .. math:: x = \exp_z(v), \qquad v = (I - z z^\top) \nabla \phi(z), \qquad
        \exp_z(v) = z \cos |v| + \frac{v}{|v|} \sin |v|

    ``decode`` walks, ``encode`` undoes it by Newton's method, so reverse KL is its use. The term is
    :math:`\log |\det (E_x^\top J E_z)|` in bases of both tangent spaces, J in closed form. Of two
    potentials, both bounded so that the map is one to one, the first has K radial terms,
    :math:`\alpha_k \ge 0`, :math:`\sum \alpha_k < 1`, :math:`\beta_k > 0`, :math:`|\mu_k| = 1`, and
    the second, without them, is a polynomial, :math:`|\mu| + 2 \|A\|_F < .9`:

    .. math:: \phi(z) = \sum_k \frac{\alpha_k}{\beta_k} e^{\beta_k (z \cdot \mu_k - 1)}, \qquad
        \phi(z) = \mu^\top z + z^\top A z

    Args:
        features: D, at least 3.
        terms: K, or 0 for the polynomial.
        max_concentration: the largest :math:`\beta`.
        batch_shape: the component axis.
        generator: source of the initial directions.

    Raises:
        ValueError: for fewer than 3 features, or terms below zero.

    Source: Rezende et al. (2020), "Normalizing flows on tori and spheres", arXiv:2002.02428;
    Sei (2013), "A Jacobian inequality for gradient maps on the sphere".

    Example:
        >>> walk = ExponentialMap(3, terms=2, generator=torch.Generator().manual_seed(0))
        >>> z = torch.tensor([[0.0, 0.6, 0.8]])
        >>> walk.encode(walk.decode(z)[0])[0].allclose(z, atol=1e-6)
        True
    """

    domain = codomain = Sphere()

    def __init__(
        self,
        features: int,
        *,
        terms: int = 1,
        max_concentration: float = 50.0,
        batch_shape: Shape = (),
        generator: Generator | None = None,
    ) -> None:
        super().__init__((features,), batch_shape=batch_shape)
        if features < 3 or terms < 0:
            raise ValueError(
                f"features must be at least 3 and terms at least 0, got {features} and {terms}"
            )
        self.terms, self.max_concentration = terms, max_concentration
        if terms:
            shape = (*batch_shape, terms, features)
            self.directions = nn.Parameter(torch.randn(shape, generator=generator))
            self.shares = nn.Parameter(torch.zeros(*batch_shape, terms))
            self.log_concentrations = nn.Parameter(torch.zeros(*batch_shape, terms))
        else:
            self.mean = nn.Parameter(torch.zeros(*batch_shape, features))
            self.matrix = nn.Parameter(torch.zeros(*batch_shape, features, features))

    def _encode(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        x = expand_batch(x, self.batch_shape, 1)
        z = self._with_derivatives(self._undone(x), x)
        return z, -self._walked_term(z)[1]

    def _decode(self, z: Tensor, context: Tensor | None, generator: Generator | None) -> Pair:
        return self._walked_term(expand_batch(z, self.batch_shape, 1))

    def _walked_term(self, z: Tensor) -> Pair:
        x, jacobian = self._walk(z)
        return x, torch.linalg.slogdet(_inside(x, jacobian, z))[1]

    def _with_derivatives(self, start: Tensor, x: Tensor) -> Tensor:
        """The start of the walk, right to the second order in x and the potential.

        Each step of Newton's method, with the slope held fixed, is right to one order more. Steps
        are in a chart: the tangent space of the start, as numbers.
        """
        with torch.no_grad():
            slope = _inside(x, self._walk(start)[1], start)
            at, there = tangent_basis(start), tangent_basis(x).mT
        end = unit(x)

        def chart(u: Tensor) -> Tensor:
            return unit(start + (at @ u.unsqueeze(-1)).squeeze(-1))

        def missing(u: Tensor) -> Tensor:
            return (there @ (end - self._walk(chart(u))[0]).unsqueeze(-1)).squeeze(-1)

        u = torch.zeros_like(start[..., :-1])
        u = u + torch.linalg.solve(slope, missing(u))
        return chart(u + torch.linalg.solve(slope, limited(missing(u))))

    @torch.no_grad()
    def _undone(self, x: Tensor) -> Tensor:
        """The start of the walk that ends in x, as the potential grows from nothing."""
        z = x
        for stage in range(1, STAGES + 1):
            for _ in range(STEPS):
                walked, jacobian = self._walk(z, stage / STAGES)
                away = (tangent_basis(x).mT @ (x - walked).unsqueeze(-1)).squeeze(-1)
                step = torch.linalg.solve(_inside(x, jacobian, z), away)
                length = torch.linalg.vector_norm(step, dim=-1, keepdim=True)
                step = step * (0.5 / length.clamp_min(0.5))
                z = unit(exponential(z, (tangent_basis(z) @ step.unsqueeze(-1)).squeeze(-1)))
        return z

    def _walk(self, z: Tensor, share: float = 1.0) -> Pair:
        """Where the walk ends, and the Jacobian of that in all D dimensions."""
        gradient, hessian = self._potential(z)
        gradient, hessian = share * gradient, share * hessian
        along = (z * gradient).sum(-1, keepdim=True)
        v = gradient - along * z
        eye = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        inner = (z.unsqueeze(-2) @ hessian).squeeze(-2) + gradient
        slope = hessian - along.unsqueeze(-1) * eye - z.unsqueeze(-1) * inner.unsqueeze(-2)
        cosine, ratio, ratio_slope = cos_and_sinc(v.square().sum(-1, keepdim=True))
        change = 2 * (v.unsqueeze(-2) @ slope)  # of the squared length of v
        jacobian = cosine.unsqueeze(-1) * eye + ratio.unsqueeze(-1) * slope
        bend = v * ratio_slope - z * ratio / 2
        return z * cosine + v * ratio, jacobian + bend.unsqueeze(-1) * change

    def _potential(self, z: Tensor) -> Pair:
        """Gradient (..., N, D) and Hessian (..., N, D, D) of the potential."""
        if not self.terms:
            size = self.matrix.flatten(-2).norm(dim=-1)[..., None, None]
            shrink = 0.9 / (1 + self.mean.norm(dim=-1, keepdim=True).unsqueeze(-1) + 2 * size)
            matrix = shrink * (self.matrix + self.matrix.mT)
            mean = (shrink.squeeze(-1) * self.mean).unsqueeze(-2)
            return mean + z @ matrix, matrix.unsqueeze(-3)
        mu = unit(self.directions)
        beta = self.max_concentration ** torch.sigmoid(self.log_concentrations)
        alpha = torch.softmax(torch.nn.functional.pad(self.shares, (0, 1)), -1)[..., :-1]
        powers = beta.unsqueeze(-2) * (z @ mu.mT - 1)
        weights = alpha.unsqueeze(-2) * powers.exp()
        hessian = torch.einsum("...nk,...k,...ki,...kj->...nij", weights, beta, mu, mu)
        return weights @ mu, hessian


def _inside(x: Tensor, jacobian: Tensor, z: Tensor) -> Tensor:
    """A Jacobian from the tangent space at z to that at x."""
    return tangent_basis(x).mT @ jacobian @ tangent_basis(z)
