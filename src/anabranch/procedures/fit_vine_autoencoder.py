"""The vine copula autoencoder: codes without a prior, then a density of them."""

import torch
from torch import Tensor

from anabranch.distributions import Flow
from anabranch.models.autoencoders.code_generator import CodeGenerator
from anabranch.objectives import Reconstruction
from anabranch.procedures.fit_by_rows import fit_rows
from anabranch.procedures.training_run import TrainingRun
from anabranch.training import FitResult

PART = 4096


def fit_vine_autoencoder(
    model: CodeGenerator, x: Tensor, run: TrainingRun, *, validation: Tensor | None = None
) -> FitResult:
    """Train an autoencoder, then set the density of its codes by the codes of all rows.

    With ``max_epochs`` zero the autoencoder is taken as it is, one that was trained before.

    Source: Tagasovska, Ackerer, Vatter (2019), "Copulas as high-dimensional generative models: vine
    copula autoencoders", arXiv:1906.05423.

    Args:
        model: whose ``codes`` are a flow that rows set, such as `anabranch.models.vine`.
        x: (N, D) rows.
        run: how the loop runs.
        validation: rows that choose the best state.

    Returns:
        What the loop did.

    Raises:
        TypeError: for codes whose density is no flow.

    Example:
        >>> from anabranch.models import vine_autoencoder
        >>> from anabranch.training import FitOptions
        >>> model = vine_autoencoder(3, latent=1, hidden=[8], seed=0)
        >>> x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
        >>> fit_vine_autoencoder(model, x, TrainingRun(FitOptions(max_epochs=2))).stages
        ['codes']
    """
    if not isinstance(model.codes, Flow):
        raise TypeError(f"codes must have a flow that rows set, got {type(model.codes).__name__}")
    result = FitResult()
    if run.options.max_epochs:
        held_out = None if validation is None else {"x": validation}
        result = run.fit(Reconstruction(model), {"x": x}, held_out)
    with torch.no_grad():
        codes = torch.cat([model.encode(part) for part in x.split(PART)])
    fit_rows(model.codes, codes)
    result.stages.append("codes")
    return result
