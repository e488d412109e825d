"""The loop of two players: a generator, and a critic that tells its draws from rows."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anabranch.training.batches import Batches, Data
from anabranch.training.options import FitOptions
from anabranch.training.parallel import process_group
from anabranch.training.result import FitResult
from anabranch.training.run import Run
from anabranch.training.run_state import Setup
from anabranch.training.schedules import Schedule
from anabranch.training.tensors import copy_tensors

Critic = Callable[[Tensor], Tensor]
Draw = Callable[[int, torch.Generator | None], Tensor]
Players = tuple[nn.Module, nn.Module]
# Of Adam: no momentum of gradients, for what was right against the last critic is so no more.
BETAS = (0.0, 0.99)


class Game(NamedTuple):
    """What the players minimise, and how the slope of the critic is held.

    Attributes:
        critic: of its values (N,) at rows and at draws.
        generator: of the critic's values (N,) at draws.
        slope: of the critic, rows and draws (N, D) each, and a source of randomness: (N,) that is
            added to what the critic minimises.
        weight: of the slope.
        rows: of rows (N, D): what the generator minimises beside, such as their negative
            log-likelihood; None for nothing.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    slope: Callable[[Critic, Tensor, Tensor, torch.Generator | None], Tensor]
    weight: float
    rows: Callable[[Tensor], Tensor] | None = None


def fit_adversarial(
    draw: Draw,
    players: Players,
    x: Tensor,
    *,
    game: Game,
    options: FitOptions | None = None,
    critic_steps: int = 1,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
    resume: bool = False,
    identity: dict[str, Any] | None = None,
    stage: str | None = None,
) -> FitResult:
    r"""Train a generator against a critic, in turn, and leave both in their last state.

    .. math:: \min_f\; L(f(x), f(x')) + w\, E\, S_f(x, x'), \qquad \min_g\; M(f(x')),
        \qquad x' \sim g

    with L, M, S and w from the game, which may add what the generator minimises of rows. A step of
    either that is not finite changes nothing, ends the turn and is counted; when that repeats, the
    last good state is restored with half the learning rate; when that repeats, the run stops with
    `DivergedWarning`.

    Source: Goodfellow et al. (2014), "Generative adversarial networks", arXiv:1406.2661.

    Args:
        draw: gives that many rows, differentiable in the parameters of the generator, with the
            given source of randomness.
        players: the modules whose parameters are the generator's and the critic's; the second
            takes rows (N, D) and gives (N,) or (N, 1).
        x: (N, D), finite.
        game: what they minimise.
        options: see `FitOptions`. An epoch goes through the rows once. No score tells which state
            is best, so ``patience`` and ``monitor`` do nothing; with ``average`` the generator is
            left at its moving average. It is evaluated after every epoch, and never compiled.
        critic_steps: steps of the critic for one of the generator.
        schedules: see `Schedule`; a step is one of the generator.
        generator: source of the row order and of the draws, on the CPU; also saved in checkpoints.
        resume: continue from ``options.checkpoint``; the run ends with the same bits as one that
            was never interrupted.
        identity: further plain values that a checkpoint must share to be resumed from.
        stage: shown by the progress bar, and listed in the result.

    Returns:
        A `FitResult`; in its history ``critic_loss`` (without the slope), ``slope`` and
        ``generator_loss`` are means of an epoch. ``train_loss`` is what the critic minimises.

    Raises:
        ValueError: for fewer than one step of the critic, options that this loop has not, rows
            that are not finite, or a checkpoint of another run.
        FileNotFoundError: where there is nothing to resume from.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint was written if one is asked for.

    Warns:
        DivergedWarning: where steps were not finite again and again.

    Example:
        >>> place, critic = nn.Linear(1, 1), nn.Linear(1, 1)
        >>> def draw(n, generator):
        ...     return place(torch.randn(n, 1, generator=generator))
        >>> game = Game(
        ...     critic=lambda real, drawn: drawn.mean() - real.mean(),
        ...     generator=lambda drawn: -drawn.mean(),
        ...     slope=lambda f, real, drawn, generator: (f(real + 0.5) - f(real - 0.5))[:, 0] ** 2,
        ...     weight=1.0,
        ... )
        >>> x, options = torch.randn(64, 1), FitOptions(max_epochs=2, batch_size=16)
        >>> fit_adversarial(draw, (place, critic), x, game=game, options=options).steps
        8
    """
    options = options or FitOptions()
    _check(x, options, critic_steps)
    setup = Setup(
        options, schedules, generator or torch.Generator(), identity=identity or {}, stage=stage
    )
    run = Duel(draw, players, x, game, critic_steps, setup)
    if resume:
        run.load()
    return run.run()


class Duel(Run):
    """Steps of two players in turn."""

    losses = ("critic_loss", "slope", "generator_loss")
    betas = BETAS
    diverged = "the last good state is kept"

    def __init__(
        self, draw: Draw, players: Players, x: Tensor, game: Game, critic_steps: int, setup: Setup
    ) -> None:
        self.draw, self.critic, self.game = draw, players[1], game
        self.batch_size = min(setup.options.batch_size, len(x))
        self.critic_steps = min(critic_steps, len(x) // self.batch_size)
        batches = Batches({"x": x}, self.critic_steps * self.batch_size)
        super().__init__(nn.ModuleList(players), players, batches, setup)
        n_own = sum(p.requires_grad for p in players[0].parameters())
        self.own, self.others = self.parameters[:n_own], self.parameters[n_own:]

    def _turn(self, rows: Data) -> Sequence[float] | None:
        """Steps of the critic and one of the generator."""
        terms: list[Tensor] = []
        for batch in rows["x"].split(self.batch_size):
            terms = self._critic_terms(batch)
            if self.descend(terms[0] + self.game.weight * terms[1], self.others) is None:
                return None
        drawn = self.draw(self.batch_size, self.setup.generator)
        stake = self.game.generator(self._values(drawn))
        if self.game.rows is not None:
            stake = stake + self.game.rows(rows["x"][: self.batch_size])
        bet = self.descend(stake, self.own)
        return None if bet is None else (*torch.stack(terms).tolist(), bet)

    def _critic_terms(self, batch: Tensor) -> list[Tensor]:
        """Its loss, and what is added for its slope."""
        source = self.setup.generator
        with torch.no_grad():
            drawn = self.draw(len(batch), source)
        # both in one call: small networks cost by the call
        real, fake = self._values(torch.cat((batch, drawn))).split(len(batch))
        slope = self.game.slope(self.critic, batch, drawn, source).mean()
        return [self.game.critic(real, fake), slope]

    def _values(self, x: Tensor) -> Tensor:
        return self.critic(x).flatten()

    def _score(self, means: dict[str, float]) -> tuple[dict[str, float], float]:
        loss = means["critic_loss"] + self.game.weight * means["slope"]
        return {"train_loss": loss, **means}, loss

    def _keep(self, score: float) -> None:
        self.result.best_score, self.result.best_epoch = score, self.epoch

    def _settle(self) -> None:
        if self.result.stopped == "diverged":
            copy_tensors(self.good, self.state)
        else:
            self.average.settle()

    def _products(self) -> nn.Module:
        return self.critic

    def _size(self) -> int:
        return self.batch_size

    def _averaged(self) -> int:
        return self.result.steps - 1  # those before the present one

    def _due(self) -> bool:
        return self.result.steps > self.evaluated_at

    def _identity(self) -> dict[str, Any]:
        rules = self.game._asdict()
        weight = rules.pop("weight")
        if rules["rows"] is None:  # as in runs of before there was such a thing
            rules.pop("rows")
        names = {k: getattr(rule, "__qualname__", type(rule).__name__) for k, rule in rules.items()}
        game = {**names, "weight": weight}
        return {**super()._identity(), "critic_steps": self.critic_steps, "game": game}


def _check(x: Tensor, options: FitOptions, critic_steps: int) -> None:
    if critic_steps < 1:
        raise ValueError(f"critic_steps must be at least 1, got {critic_steps}")
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x must be rows (N, D), got the shape {tuple(x.shape)}")
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise ValueError(f"x must be finite, got {bad} numbers that are not")
    if options.compile:
        raise ValueError("compile must be False for two players, got True")
    if process_group().size > 1:
        raise ValueError(f"one process is expected, got a group of {process_group().size}")
