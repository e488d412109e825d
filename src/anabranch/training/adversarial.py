"""The loop of two players: a generator, and a critic that tells its draws from rows."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anabranch.training.allocation import kept_memory
from anabranch.training.fit import DivergedWarning, FitResult
from anabranch.training.logs import Logs
from anabranch.training.options import FitOptions
from anabranch.training.parallel import process_group
from anabranch.training.precision import matrix_products
from anabranch.training.schedules import Schedule
from anabranch.training.threads import threads_for

Critic = Callable[[Tensor], Tensor]
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
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    slope: Callable[[Critic, Tensor, Tensor, torch.Generator | None], Tensor]
    weight: float


def fit_adversarial(
    draw: Callable[[int, torch.Generator | None], Tensor],
    players: tuple[nn.Module, nn.Module],
    x: Tensor,
    *,
    game: Game,
    options: FitOptions | None = None,
    critic_steps: int = 1,
    schedules: Sequence[Schedule] = (),
    generator: torch.Generator | None = None,
) -> FitResult:
    r"""Train a generator against a critic, in turn, and leave both in their last state.

    .. math:: \min_f\; L(f(x), f(x')) + w\, E\, S_f(x, x'), \qquad \min_g\; M(f(x')),
        \qquad x' \sim g

    with L, M, S and w from the game. A step of either that is not finite changes nothing, ends the
    turn and is counted; when that repeats, the last good state is restored with half the learning
    rate; when that repeats, the run stops with `DivergedWarning`.

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
            left at its moving average. There are neither checkpoints nor compilation.
        critic_steps: steps of the critic for one of the generator.
        schedules: see `Schedule`; a step is one of the generator.
        generator: source of the row order and of the draws, on the CPU.

    Returns:
        A `FitResult`; in its history ``critic_loss`` (without the slope), ``slope`` and
        ``generator_loss`` are means of an epoch. ``train_loss`` is what the critic minimises.

    Raises:
        ValueError: for fewer than one step of the critic, options that this loop has not, or rows
            that are not finite.

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
    return _Run(draw, players, x, options, game, critic_steps, schedules, generator).run()


class _Run:
    """The state of a run, and the steps that change it."""

    def __init__(
        self,
        draw: Callable[[int, torch.Generator | None], Tensor],
        players: tuple[nn.Module, nn.Module],
        x: Tensor,
        options: FitOptions,
        game: Game,
        critic_steps: int,
        schedules: Sequence[Schedule],
        generator: torch.Generator | None,
    ) -> None:
        self.draw, self.critic, self.x = draw, players[1], x
        self.options, self.game, self.schedules = options, game, list(schedules)
        self.batch_size, self.source = min(options.batch_size, len(x)), generator
        n_batches = len(x) // self.batch_size
        self.critic_steps = min(critic_steps, n_batches)
        self.steps = n_batches // self.critic_steps
        self.own, self.others = (
            [p for p in player.parameters() if p.requires_grad] for player in players
        )
        rate = options.learning_rate
        # one optimiser, which leaves alone what has no gradient: schedules then move both rates
        self.optimizer = torch.optim.AdamW(
            [{"params": self.own}, {"params": self.others}],
            rate,
            betas=BETAS,
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.modules = players
        self.state = [t for player in players for t in (*player.parameters(), *player.buffers())]
        self.good = [t.detach().clone() for t in self.state]
        self.average = [p.detach().clone() for p in self.own] if options.average else []
        self.result, self.skipped_in_row = FitResult(), 0

    def run(self) -> FitResult:
        """Run all epochs."""
        started = time.perf_counter()
        logs = Logs(self.options)
        size = self.batch_size * sum(p.numel() for p in (*self.own, *self.others))
        for module in self.modules:
            module.train()
        try:
            with (
                threads_for(size),
                matrix_products(self.options.matmul, self.critic, self.batch_size),
                kept_memory(),
            ):
                for epoch in range(1, self.options.max_epochs + 1):
                    self._epoch(epoch, logs)
                    if self.result.stopped == "diverged":
                        break
        finally:
            logs.close()
            for module in self.modules:
                module.eval()
        self._finish()
        self.result.seconds = time.perf_counter() - started
        return self.result

    def _epoch(self, epoch: int, logs: Logs) -> None:
        order = torch.randperm(len(self.x), generator=self.source).to(self.x.device)
        rows = self.x[order]
        sums, count = torch.zeros(3), 0
        for step in range(self.steps):
            for schedule in self.schedules:
                schedule.on_step(self.result.steps)
            first = step * self.critic_steps * self.batch_size
            values = self._step(rows[first : first + self.critic_steps * self.batch_size])
            self.result.steps += 1
            if values is not None:
                sums, count = sums + values, count + 1
            if self.result.stopped == "diverged":
                return
        self._evaluate(epoch, (sums / count).tolist() if count else [math.nan] * 3, logs)

    def _step(self, rows: Tensor) -> Tensor | None:
        """Steps of the critic and one of the generator; None where one was not finite."""
        terms: list[Tensor] = []
        for batch in rows.split(self.batch_size):
            terms = self._critic_terms(batch)
            if not self._descend(terms[0] + self.game.weight * terms[1], self.others):
                return None
        bet = self.game.generator(self._values(self.draw(self.batch_size, self.source)))
        if not self._descend(bet, self.own):
            return None
        self.skipped_in_row = 0
        if self.average:
            # a short average at first, so that the start is forgotten soon
            decay = min(self.options.average, (1 + self.result.steps) / (10 + self.result.steps))
            own = [p.detach() for p in self.own]
            torch._foreach_lerp_(self.average, own, 1 - decay)  # pyright: ignore
        return torch.stack((*terms, bet)).detach().cpu()

    def _critic_terms(self, batch: Tensor) -> list[Tensor]:
        """Its loss, and what is added for its slope."""
        with torch.no_grad():
            drawn = self.draw(len(batch), self.source)
        # both in one call: small networks cost by the call
        real, fake = self._values(torch.cat((batch, drawn))).split(len(batch))
        slope = self.game.slope(self.critic, batch, drawn, self.source).mean()
        return [self.game.critic(real, fake), slope]

    def _values(self, x: Tensor) -> Tensor:
        return self.critic(x).flatten()

    def _descend(self, loss: Tensor, parameters: Sequence[Tensor]) -> bool:
        """One step of one player, or none where loss or gradient is not finite."""
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        some = [g for g in gradients if g is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(some)))  # pyright: ignore
        size, value = torch.stack((norm, loss.detach())).tolist()
        if not (math.isfinite(size) and math.isfinite(value)):
            self._skip()
            return False
        limit = self.options.clip_norm
        if limit is not None and size > limit:
            torch._foreach_mul_(some, limit / size)  # pyright: ignore
        self.optimizer.zero_grad()
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()
        self.optimizer.zero_grad()
        return True

    def _skip(self) -> None:
        self.result.skipped_steps += 1
        self.skipped_in_row += 1
        if self.skipped_in_row < self.options.max_skipped:
            return
        self.skipped_in_row = 0
        self.result.rollbacks += 1
        _copy(self.good, self.state)
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.5
        if self.result.rollbacks > self.options.max_rollbacks:
            self.result.stopped = "diverged"

    def _evaluate(self, epoch: int, means: list[float], logs: Logs) -> None:
        loss, slope, bet = means
        entry = {"epoch": epoch, "step": self.result.steps}
        entry |= {"train_loss": loss + self.game.weight * slope}
        entry |= {"critic_loss": loss, "slope": slope, "generator_loss": bet}
        entry |= {schedule.name: schedule.value for schedule in self.schedules}
        entry["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        entry["skipped_steps"] = self.result.skipped_steps
        self.result.history.append(entry)
        logs.write(entry)
        if all(math.isfinite(mean) for mean in means):
            _copy(self.state, self.good)
        self.result.best_score, self.result.best_epoch = entry["train_loss"], epoch
        for schedule in self.schedules:
            schedule.on_evaluation(entry["train_loss"], self.optimizer)

    def _finish(self) -> None:
        if self.result.stopped == "diverged":
            _copy(self.good, self.state)
            warnings.warn(
                f"training diverged at step {self.result.steps}: {self.result.skipped_steps} steps "
                "were not finite; the last good state is kept. Lower learning_rate",
                DivergedWarning,
                stacklevel=4,
            )
        elif self.average:
            _copy(self.average, self.own)


def _check(x: Tensor, options: FitOptions, critic_steps: int) -> None:
    if critic_steps < 1:
        raise ValueError(f"critic_steps must be at least 1, got {critic_steps}")
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x must be rows (N, D), got the shape {tuple(x.shape)}")
    bad = int((~torch.isfinite(x)).sum())
    if bad:
        raise ValueError(f"x must be finite, got {bad} numbers that are not")
    if options.checkpoint is not None or options.compile:
        raise ValueError("options must have neither checkpoint nor compile: this loop has not")
    if process_group().size > 1:
        raise ValueError(f"one process is expected, got a group of {process_group().size}")


@torch.no_grad()
def _copy(source: Sequence[Tensor], target: Sequence[Tensor]) -> None:
    for a, b in zip(source, target, strict=True):
        b.copy_(a)
