"""Two factorisations of one joint density, both of which are trained."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective


class DualFactorization(Objective):
    r"""Data and what is known of them, by encoders and by decoders alike.

    .. math::
        -\tfrac12 \mathbb E [\log p_{\mathrm{enc}} + \log p_{\mathrm{dec}}], \qquad
        \log p_{\mathrm{enc}} = \log p(t) + \sum_i \log p(e^i \mid z) + e^i \log q(c^i \mid z), \\
        \log p_{\mathrm{dec}} = \log p(t) + \sum_i \log p(e^i)
        + e^i [\log p(z \mid c^i) + \log p(c^i) - \log p(z)]

    What is unknown is left out: summed over e, each factorisation is p(t) again. Codes that are not
    given are drawn from q, and the bracket is the evidence lower bound, with
    :math:`-\log q(c^i \mid z)` in the decoder and without a code in the encoder.

    Args:
        model: a `anabranch.models.tzk`.
        types: names of those that are trained; all by default.
        frozen: train these types alone: the common flow, and all other types, stay as they are, to
            the bit. For a second stage, and for types that were added.

    Batches are dicts of ``x`` (N, D) and ``existence`` (N, K), for each type of the model 1, 0, or
    -1 where unknown; and optionally ``codes`` (N, K, C), and ``weights`` (N,).

    Raises:
        ValueError: for a type that there is not.

    Source: Livne, Fleet (2019), "TzK: flow-based conditional generative model", arXiv:1902.01893,
    as far as it can be told: unknown codes by the bound, for their own likelihood under q would
    narrow q without limit.
    """

    stochastic = True

    def __init__(
        self, model: Any, *, types: Sequence[str] | None = None, frozen: bool = False
    ) -> None:
        super().__init__()
        self.model, self.frozen = model, frozen
        self.names = list(model.names if types is None else types)
        trained = [model.type_of(name) for name in self.names]
        model.requires_grad_(not frozen)
        for own in trained:
            own.requires_grad_(True)

    def train(self, mode: bool = True) -> "DualFactorization":
        """Train; a common flow that is frozen stays in evaluation mode, and so do its averages."""
        super().train(mode)
        if self.frozen:
            self.model.common.eval()
        return self

    def forward(
        self, batch: Mapping[str, Tensor], *, generator: torch.Generator | None = None
    ) -> Loss:
        """The objective, with the terms "nll" of p(t), "encoder" and "decoder" of the types."""
        common = self.model.common
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            z, term = common.transform.encode(batch["x"], generator=generator)
            prior = common.base.log_prob(z)
        terms = [self._of_type(name, z, prior, batch, generator) for name in self.names]
        encoder = torch.stack([each[0] for each in terms]).sum(0)
        decoder = torch.stack([each[1] for each in terms]).sum(0)
        rows = -(prior + term), -encoder, -decoder
        weights = batch.get("weights")
        if weights is not None:
            rows = tuple(part * weights / weights.mean() for part in rows)
        nll, enc, dec = (part.mean() for part in rows)
        return Loss(nll + 0.5 * (enc + dec), {"nll": nll, "encoder": enc, "decoder": dec})

    def _of_type(
        self,
        name: str,
        z: Tensor,
        prior: Tensor,
        batch: Mapping[str, Tensor],
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """What a type adds to either factorisation, (N,) each."""
        place, own = self.model.names.index(name), self.model.type_of(name)
        existence = batch["existence"][:, place]
        known, holds = (existence >= 0).to(z), (existence > 0).to(z)
        sign = 2 * holds - 1
        encoder = known * logsigmoid(sign * own.existence_logit(z))
        decoder = known * logsigmoid(sign * own.prior_logit)
        rows = torch.nonzero(existence > 0).squeeze(-1)
        codes = batch.get("codes")
        given = None if codes is None else codes[rows, place]
        found = own.decoded(z[rows], given, generator=generator)
        if given is None:
            bound = found.joint - found.encoded
        else:
            bound, encoder = found.joint, encoder.index_add(0, rows, found.encoded)
        return encoder, decoder.index_add(0, rows, bound - prior[rows])
