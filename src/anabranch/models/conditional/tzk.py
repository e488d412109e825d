"""TzK: one flow for all data, and types of knowledge over its latents."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import logsigmoid

from anabranch.distributions import DiagonalNormal, Distribution, Flow, Normal
from anabranch.models.generators import make_generator
from anabranch.models.inner_densities import build_inner_density
from anabranch.models.registry import build, recipe
from anabranch.models.specs import Spec
from anabranch.networks import MLP


class DecodedLatents(NamedTuple):
    r"""What is known of latents of which a type of knowledge holds.

    Attributes:
        joint: :math:`\log p(z \mid c) + \log p(c)`, of a code c, (N,).
        encoded: :math:`\log q(c \mid z)` of the same code, (N,); zero without codes.
    """

    joint: Tensor
    encoded: Tensor


class KnowledgeType(nn.Module):
    r"""One type of knowledge k = (e, c): whether it holds of a latent z, and its code.

    .. math:: p(e = 1) = \pi, \quad p(e = 1 \mid z), \quad p(c) = \mathcal N(0, I), \quad
        q(c \mid z), \quad p(z \mid e = 1, c)

    Args:
        discriminator: gives the logit of p(e = 1 | z) from z.
        decoder: p(z | e = 1, c), whose context is the code where there are codes.
        encoder: q(c | z); None without codes.
    """

    def __init__(
        self, discriminator: MLP, decoder: Distribution, encoder: Distribution | None
    ) -> None:
        super().__init__()
        self.discriminator, self.decoder, self.encoder = discriminator, decoder, encoder
        self.codes = None if encoder is None else Normal(encoder.event_shape)
        self.prior_logit = nn.Parameter(torch.zeros(()))

    def existence_logit(self, z: Tensor) -> Tensor:
        """Of p(e = 1 | z), (N,), by the discriminator."""
        return self.discriminator(z).squeeze(-1)

    def decoded(
        self, z: Tensor, code: Tensor | None = None, *, generator: Generator | None = None
    ) -> DecodedLatents:
        """Densities of latents (N, D) and codes; of codes (N, C) drawn from q where not given."""
        if self.encoder is None or self.codes is None:
            log_prob = self.decoder.log_prob(z, generator=generator)
            return DecodedLatents(log_prob, torch.zeros_like(log_prob))
        if code is None:
            code, encoded = self.encoder.rsample_and_log_prob((), z, generator)
        else:
            encoded = self.encoder.log_prob(code, z, generator=generator)
        joint = self.decoder.log_prob(z, code, generator=generator) + self.codes.log_prob(code)
        return DecodedLatents(joint, encoded)


class TzK(Distribution):
    r"""A common flow t -> z, and what each type of knowledge says of z.

    .. math::
        p(t) = p(z)\, \Bigl|\tfrac{\partial z}{\partial t}\Bigr|, \qquad
        p(t \mid e^i = 1, c^i) = p(z \mid e^i = 1, c^i)\,
        \Bigl|\tfrac{\partial z}{\partial t}\Bigr|

    As a distribution it is that of t alone. Types share the flow and nothing else, so that one
    can be added later, and all that was there stays as it was, to the bit.

    Args:
        common: the flow of t.
        types: of knowledge, by name.

    Source: Livne, Fleet (2019), "TzK: flow-based conditional generative model", arXiv:1902.01893.

    Example:
        >>> model = tzk(2, types=["cat", "dog"], hidden=[8], seed=0)
        >>> model.log_prob(torch.zeros(3, 2)).shape, model.given("dog").sample(4).shape
        (torch.Size([3]), torch.Size([4, 2]))
    """

    def __init__(self, common: Flow, types: dict[str, KnowledgeType]) -> None:
        super().__init__(common.event_shape)
        self.common, self.names = common, list(types)
        # names may hold dots, which modules cannot
        self.types = nn.ModuleList(types.values())
        self.domain, self.exact, self.stochastic = common.domain, common.exact, common.stochastic

    def type_of(self, name: str) -> KnowledgeType:
        """A type by its name.

        Raises:
            ValueError: for another name; lists the known ones.
        """
        if name not in self.names:
            raise ValueError(f"no type of knowledge {name!r}; there are {', '.join(self.names)}")
        found = self.types[self.names.index(name)]
        assert isinstance(found, KnowledgeType)
        return found

    def given(self, name: str) -> Flow:
        """The distribution of t given that a type holds; its context is the code, if there is one.

        It shares the parameters of this model.
        """
        return Flow(self.type_of(name).decoder, self.common.transform)

    def log_prob_given(
        self, x: Tensor, name: str, *, n_draws: int = 1, generator: Generator | None = None
    ) -> Tensor:
        r"""Log-density of t given that a type holds, whatever its code, (N,) in nats.

        With codes it is a lower bound by importance weighted draws, the closer the more draws.

        Args:
            x: (N, D).
            name: of the type.
            n_draws: codes of each row.
            generator: source of the codes.

        Source of the bound: Burda, Grosse, Salakhutdinov (2015), arXiv:1509.00519.
        """
        z, term = self.common.transform.encode(x, generator=generator)
        own = self.type_of(name)
        if own.encoder is None:
            return own.decoded(z).joint + term
        drawn = [own.decoded(z, generator=generator) for _ in range(n_draws)]
        weights = torch.stack([each.joint - each.encoded for each in drawn])
        return weights.logsumexp(0) - torch.tensor(float(n_draws)).log() + term

    def existence(self, x: Tensor, name: str) -> Tensor:
        """Probability that a type holds of each row, by its discriminator, (N,)."""
        z, _ = self.common.transform.encode(x)
        return torch.sigmoid(self.type_of(name).existence_logit(z))

    def decoded_existence(
        self, x: Tensor, name: str, *, n_draws: int = 1, generator: Generator | None = None
    ) -> Tensor:
        r"""The same by Bayes' rule from the decoder, :math:`\pi\, p(t \mid e = 1) / p(t)`, (N,)."""
        given = self.log_prob_given(x, name, n_draws=n_draws, generator=generator)
        prior = logsigmoid(self.type_of(name).prior_logit)
        return (prior + given - self.log_prob(x)).exp().clamp_max(1)

    def with_type(self, name: str, *, seed: int | None = None) -> "TzK":
        """A model with one more type, untrained; all others, and p(t), are the same to the bit.

        Args:
            name: of the type.
            seed: of its weights.

        Raises:
            ValueError: for a type that there is, or a model that no recipe built.
        """
        made: Any = vars(self).get("recipe")
        if made is None or name in self.names:
            why = "no recipe built this model" if made is None else f"there is a type {name!r}"
            raise ValueError(f"cannot add the type {name!r}: {why}")
        arguments = made["arguments"] | {"types": [*self.names, name], "seed": seed}
        model = build(made["name"], **arguments)
        assert isinstance(model, TzK)
        model.load_state_dict(self.state_dict(), strict=False)
        return model.to(next(self.parameters())).train(self.training)

    def _log_prob(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.common._log_prob(x, context, generator)

    def _sample(self, n: int, context: Tensor | None, generator: Generator | None) -> Tensor:
        return self.common._sample(n, context, generator)

    def _initialize(self, x: Tensor, context: Tensor | None, generator: Generator | None) -> None:
        self.common._initialize(x, context, generator)


@recipe
def tzk(
    features: int,
    *,
    types: Sequence[str],
    code_features: int = 0,
    flow: Spec = "nsf",
    decoder: Spec = "realnvp",
    hidden: Sequence[int] = (64, 64),
    seed: int | None = None,
) -> TzK:
    r"""A common flow, and for each type of knowledge its existence, code, encoder and decoder.

    Trained by `anabranch.objectives.DualFactorization`.

    Source: Livne, Fleet (2019), "TzK: flow-based conditional generative model", arXiv:1902.01893.

    Args:
        features: D.
        types: names of the types of knowledge.
        code_features: C, size of the code of each type; 0 for none.
        flow: recipe of the common flow.
        decoder: recipe of the density of latents given a type, and its code.
        hidden: hidden sizes of discriminators, and of encoders of codes.
        seed: of the initial weights.

    Raises:
        ValueError: for no types, names that repeat, or a common recipe that builds no flow.

    Example:
        >>> model = tzk(2, types=["cat", "dog"], code_features=1, hidden=[8], seed=0)
        >>> model.with_type("fish").names
        ['cat', 'dog', 'fish']
    """
    names = list(types)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"types must be different names, at least one, got {names}")
    source = make_generator(seed)
    common = build_inner_density(flow, features, (), source, role="flow")
    if not isinstance(common, Flow):
        raise ValueError(f"flow must be the recipe of a flow, got {flow!r}")
    made = {}
    for name in names:
        judge = MLP(features, 1, hidden, zero_last=True, generator=source)
        role = f"decoder of {name!r}"
        given = build_inner_density(
            decoder, features, (), source, role=role, context_features=code_features
        )
        encoder = None
        if code_features:
            encoder = DiagonalNormal(
                code_features, context_features=features, hidden=hidden, generator=source
            )
        made[name] = KnowledgeType(judge, given, encoder)
    return TzK(common, made)
