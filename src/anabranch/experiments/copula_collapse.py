"""How much of a code survives beside a decoder that could do without: copula and mean field."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from anabranch.distributions import Normal
from anabranch.experiments import Figure, Outcome, Run, experiment, per_seed
from anabranch.experiments.seeded import table_of_means
from anabranch.models import FlowVariationalAutoencoder, made
from anabranch.models.autoencoders.latent_posteriors import latent_posterior
from anabranch.models.specs import Spec
from anabranch.networks import MLP
from anabranch.objectives import ImportanceBound
from anabranch.training import Annealing, CosineDecay, FitOptions, ScheduledBuffer, fit

POSTERIORS: dict[str, Spec] = {
    "diagonal": "diagonal",
    "copula": "copula",
    "rank-one copula": {"name": "copula", "structure": "rank-one"},
}
# Of the chain: bits, and what is added to the log-odds of the next bit by the two hidden numbers of
# a sentence, one for its first half and one for its second, which share what they tell.
LENGTH, STAY = 24, 1.0
LATENT, HIDDEN, CONTEXT = 4, 64, 32
ROWS, TEST, STEPS, BATCH, RATE, WARM_UP, DRAWS = 4000, 1000, 2000, 100, 3e-3, 0.2, 50


class Found(NamedTuple):
    """Of test rows, nats: bound, divergence of the code, and bound of many draws."""

    bound: float
    divergence: float
    log_p: float


class ChainDecoder(nn.Module):
    """Bits one after another, given the code: what an LSTM is for sentences, by a masked network.

    Args:
        features: bits.
        latent: size of a code.
        seed: of the initial weights.
    """

    def __init__(self, features: int, latent: int, seed: int) -> None:
        super().__init__()
        self.features = features
        self.bits = made(features, hidden=[HIDDEN], context_features=latent, seed=seed)

    def log_prob(self, z: Tensor, x: Tensor) -> Tensor:
        """Log p(x|z), (N,)."""
        return self.bits.log_prob(x, z)


@experiment(
    "copula-collapse", seeds=3, summary="what a code tells beside an autoregressive decoder"
)
def copula_collapse(run: Run) -> Outcome:
    """The same networks and steps for each posterior."""
    found = {name: per_seed(run.seeds, one_posterior, name) for name in POSTERIORS}
    diagonal, copula = found["diagonal"], found["copula"]
    kept = copula.mean("divergence") - diagonal.mean("divergence")
    gain = copula.mean("bound") - diagonal.mean("bound")
    figures = [
        Figure("divergence with a copula less with mean field, nats", kept, 0.0, "higher"),
        Figure("bound with a copula less with mean field, nats", gain, 0.0, "higher"),
    ]
    for name, rows in found.items():
        figures += [
            Figure(f"divergence, {name}, nats", rows.mean("divergence")),
            Figure(f"bound, {name}, nats", rows.mean("bound")),
        ]
    settings = {
        "bits": LENGTH, "stay": STAY, "latent": LATENT, "hidden": HIDDEN, "rows": ROWS,
        "steps": STEPS, "batch_size": BATCH, "learning_rate": RATE, "warm_up": WARM_UP,
        "draws": DRAWS,
    }  # fmt: skip
    return Outcome(figures, settings, table_of_means("posterior", found))


def sentences(n: int, seed: int) -> Tensor:
    """Chains of bits (n, LENGTH), whose habits two hidden numbers of each row decide.

    The next bit is like the last one with log-odds that the sum of both numbers adds to, and one
    with log-odds of the first: what a row tells of the two is tied, as no mean field has it.
    """
    source = torch.Generator().manual_seed(seed)
    h = torch.randn(n, 2, generator=source)
    x = torch.zeros(n, LENGTH)
    last = torch.zeros(n)
    for t in range(LENGTH):
        logits = (2 * last - 1) * STAY * (h[:, 0] + h[:, 1]) + 1.5 * h[:, 0]
        last = torch.bernoulli(torch.sigmoid(logits), generator=source)
        x[:, t] = last
    return x


def one_posterior(seed: int, name: str) -> Found:
    """Train with one posterior, and score."""
    x = sentences(ROWS + TEST, 10_000 + seed)
    source = torch.Generator().manual_seed(seed)
    model = FlowVariationalAutoencoder(
        MLP(LENGTH, CONTEXT, (HIDDEN,), generator=source),
        latent_posterior(POSTERIORS[name], LATENT, CONTEXT, source),
        Normal(LATENT),
        ChainDecoder(LENGTH, LATENT, seed),  # pyright: ignore[reportArgumentType] - has what the bound asks for
    )
    objective = ImportanceBound(model)
    fit(
        objective,
        {"x": x[:ROWS]},
        options=FitOptions(
            max_epochs=STEPS * BATCH // ROWS,
            batch_size=BATCH,
            learning_rate=RATE,
            patience=None,
            progress=False,
        ),
        schedules=[
            CosineDecay(STEPS),
            ScheduledBuffer("beta", objective.beta, Annealing(max(1.0, WARM_UP * STEPS))),
        ],
        generator=torch.Generator().manual_seed(seed),
        noise=torch.Generator().manual_seed(seed),
    )
    with torch.no_grad():
        parts = model.terms(x[ROWS:], DRAWS, torch.Generator().manual_seed(20_000 + seed))
    weights = parts[0] - parts[1]
    return Found(
        bound=float(weights.mean()),
        divergence=float(parts[1].mean()),
        log_p=float((weights.logsumexp(0) - torch.tensor(float(DRAWS)).log()).mean()),
    )
