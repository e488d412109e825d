"""GM-GAN: a generator over K Gaussians against a critic, then a classifier of its draws."""

from dataclasses import dataclass

from anabranch.estimators.clustering_method import Method, Trained
from anabranch.estimators.clustering_task import Task
from anabranch.estimators.numbers import check_not_negative, check_positive, check_whole
from anabranch.models.autoencoders.gmgan import MixtureGAN
from anabranch.procedures import fit_gmgan


@dataclass(frozen=True)
class GmganOptions:
    """Settings of "gmgan"; see `anabranch.procedures.fit_gmgan`.

    Attributes:
        learning_rate: of generator and critic.
        loss: "nonsaturating" or "wgan-gp".
        penalty: weight of the critic's slopes; None for that of the loss.
        critic_steps: steps of the critic for one of the generator.
        n_drawn: rows per epoch of the classifier.
    """

    learning_rate: float = 1e-3
    loss: str = "nonsaturating"
    penalty: float | None = None
    critic_steps: int = 1
    n_drawn: int = 8000

    def __post_init__(self) -> None:
        check_positive(self, ("learning_rate",))
        check_not_negative(self, ("penalty",), optional=True)
        check_whole(self, ("critic_steps", "n_drawn"), 1)


def mixture_gan(task: Task) -> Trained:
    """Play the game from random networks."""
    options = task.told(GmganOptions)
    model, _ = task.build(MixtureGAN, n_components=task.plan.n_components)
    result = fit_gmgan(
        model,
        task.x,
        task.run(options.learning_rate),
        loss=options.loss,
        penalty=options.penalty,
        critic_steps=options.critic_steps,
        n_drawn=options.n_drawn,
    )
    return Trained(model, None, None, {"clusters": result})


GMGAN = Method(mixture_gan, "gmgan", GmganOptions, coder=None)
