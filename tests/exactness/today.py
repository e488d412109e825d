"""How what was recorded under a name is called today: all that a renaming has to edit here.

Cases speak the names of 279495c. Nothing else in this folder imports a recipe, an estimator or a
procedure.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import anabranch
from anabranch import models, objectives, training
from anabranch.algorithms import greedy_ascent as greedy
from anabranch.contracts.loss import Loss
from anabranch.contracts.objective import Objective
from anabranch.models.coders import make_coders
from anabranch.models.mixtures.posterior import make_posterior
from anabranch.procedures.fit_dec import SelfTraining
from anabranch.procedures.fit_gmvae import HierarchicalBound
from anabranch.procedures.fit_mixae import AssignedError

# Recorded name of a recipe -> today's, such as {"gmvae": "nvisa"}.
RECIPES: dict[str, str] = {"gmvae": "nvisa", "hierarchical_gmvae": "gmvae"}

# Of a recipe, what its objective takes today: the bound, the penalty and the objective itself.
OBJECTIVE = {
    "gmvae": (
        ("objective", "samples", "reparameterized", "temperature", "baseline"),
        ("consistency", "balance", "perturbation"),
        ("inference", "label_weight", "half_precision"),
    )
}

# Cases that were recorded again since, and why; CHANGELOG tells users of it.
RECORDED_AGAIN = {
    **{
        f"{name}: {norm}": "layers that normalise are initialised from the data"
        for name, norm in (
            ("FlowDensity", "actnorm"),
            ("FlowMixture", "actnorm"),
            ("FlowMixture", "batchnorm"),
        )
    },
    **dict.fromkeys(
        (
            "FlowMixture: one column",
            "FlowMixture: wide",
            "FlowMixture: levels",
            "FlowDensity: cosine",
        ),
        "a flow is kept where its gain exceeds two standard errors, not one",
    ),
    "FlowMixture: auto": "what annihilation leaves competes with Gaussians fitted to what it owns",
    **dict.fromkeys(
        ("FlowMixture: hedged", "FlowDensity: hedged"), "hedges came after that commit"
    ),
    **dict.fromkeys(
        ("FlowDensity: bounds", "FlowDensity: bounds given"), "circles are no longer cut open"
    ),
    "DeepMixture: nvil": "the weights of NVIL's baseline, a part of the objective, are drawn apart",
}

# Estimators all of whose cases with a flow were, and why.
ALL_AGAIN = dict.fromkeys(
    ("FlowMixture", "FlowGMM", "FlowDensity", "RAD"),
    "the rate is held and then falls once, races are short, and q is taught in the end",
)

# Estimator -> recorded name of a setting -> today's. A dot leads into a group, as in
# {"FlowMixture": {"temperature_decay": "temperature.decay"}}.
SETTINGS: dict[str, dict[str, str]] = {
    kind.__name__: {old: new.replace("__", ".") for old, new in kind.old_names.items()}
    for kind in (
        anabranch.DeepClustering,
        anabranch.DeepMixture,
        anabranch.FlowDensity,
        anabranch.FlowGMM,
        anabranch.FlowMixture,
        anabranch.RAD,
    )
}

# What was so before it was a setting, or the default has changed since; a case may overrule it.
_MIXTURE = {"model_options": {"hedge": False}, "fit_options": {"validation_fraction": 0.1}}
USUAL: dict[str, dict[str, Any]] = {
    "FlowMixture": _MIXTURE,
    "FlowGMM": _MIXTURE,
    "FlowDensity": {"hedge": False, "fit_options": {"validation_fraction": 0.1}},
}

# Checkpoints of 0.1.0 that are resumed to the recorded end. The others are refused in a sentence.
RESUMED: tuple[str, ...] = ()

fit_adversarial = training.fit_adversarial
fit_reverse_kl = training.fit_reverse_kl
greedy_ascent = greedy.greedy_ascent
FitOptions = training.FitOptions


# Of the recipes of autoencoders, the objective, and what of the recorded arguments it takes today.
AUTOENCODERS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "autoencoder": (objectives.Reconstruction, ("corruption",)),
    "vae": (objectives.VariationalBound, ()),
    "vade": (objectives.VariationalBound, ()),
    "ltvae": (objectives.VariationalBound, ()),
    "dec": (SelfTraining, ("reconstruction",)),
    "hierarchical_gmvae": (HierarchicalBound, ("information", "entropy")),
    # of rows that are all the same, which have the unit 1
    "mixae": (partial(AssignedError, x=torch.zeros(2, 3)), ("certainty", "balance")),
    "gmgan": (lambda model: _OfDraws(model), ()),
}


def fit(objective: nn.Module, *data: Any, **how: Any) -> training.FitResult:
    """The loop, with the source of draws that a model was built with, or torch's own."""
    model = getattr(objective, "model", None) or getattr(objective, "distribution", None)
    noise = getattr(model, "noise", torch.default_generator)
    return training.fit(objective, *data, noise=noise, **how)


def build(recorded: str, **arguments: Any) -> nn.Module:
    """The model of a recipe; where an objective trains it, the model remembers that."""
    name = RECIPES.get(recorded, recorded)
    if recorded in AUTOENCODERS:
        return _autoencoder(recorded, name, arguments)
    if recorded == "made":  # whose orderings are drawn on where the initial weights ended
        source = torch.Generator().manual_seed(arguments.pop("seed"))
        model = models.made(**arguments, seed=source)
        object.__setattr__(model, "noise", source)
        return model
    if recorded == "flow_mixture":
        return _flow_mixture(arguments)
    if recorded not in OBJECTIVE:
        return models.build(name, **arguments)
    told = [
        {name: arguments.pop(name) for name in names if name in arguments}
        for names in OBJECTIVE[recorded]
    ]
    model = models.build(name, **arguments)
    object.__setattr__(model, "objective", _latent_mixture_bound(model, *told, arguments))
    return model


def _flow_mixture(arguments: dict[str, Any]) -> nn.Module:
    names = ("inference", "consistency", "balance", "label_weight", "pseudo_labels")
    told = {name: arguments.pop(name) for name in names if name in arguments}
    moved = arguments.pop("perturbation", None)
    if moved is not None:
        told["perturbation"] = objectives.make_perturbation(moved, features=arguments["features"])
    model = models.flow_mixture(**arguments)
    object.__setattr__(model, "objective", objectives.MixtureObjective(model, **told))
    return model


def _autoencoder(recorded: str, name: str, arguments: dict[str, Any]) -> nn.Module:
    make, names = AUTOENCODERS[recorded]
    told = {name: arguments.pop(name) for name in names if name in arguments}
    if recorded == "dec" and told.get("reconstruction"):
        arguments["decoder"] = True
    # draws go on where those of the initial weights ended
    source = torch.Generator().manual_seed(arguments.pop("seed"))
    model = models.build(name, **arguments, seed=source)
    object.__setattr__(model, "noise", source)
    object.__setattr__(model, "objective", make(model, **told))
    return model


class _OfDraws(Objective):
    """How well the classifier of a GM-GAN tells the components of as many draws as rows."""

    stochastic = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, batch: Any, *, generator: torch.Generator | None = None) -> Loss:
        source = generator if self.training else torch.Generator().manual_seed(0)
        drawn, components = self.model.draw(len(batch["x"]), source)
        return Loss(cross_entropy(self.model.classifier(drawn), components), {})


def _latent_mixture_bound(
    model: Any, of_bound: Any, of_penalty: Any, of_objective: Any, recipe: Any
) -> nn.Module:
    features, seed, penalty = recipe["features"], recipe["seed"], None
    if of_penalty:
        made = objectives.make_perturbation(of_penalty["perturbation"], features=features)
        weights = of_penalty["consistency"], of_penalty["balance"]
        penalty = objectives.PosteriorPenalty(made, *weights)
    spec = {"name": of_bound.pop("objective", "vimco"), **of_bound}
    source = torch.Generator().manual_seed(seed)
    if spec["name"] == "nvil":
        source = _after_the_networks(recipe, source)
    bound = objectives.make_bound(spec, features, generator=source)
    if spec["name"] == "nvil":  # whose baseline was drawn between the networks and the prior
        model.prior.mean.data = torch.randn(model.prior.mean.shape, generator=source)
    return objectives.LatentMixtureBound(model, bound, penalty=penalty, **of_objective)


def _after_the_networks(recipe: Any, source: torch.Generator) -> torch.Generator:
    features, hidden = recipe["features"], recipe["hidden"]
    coders = make_coders("mlp", features, hidden, generator=source)
    make_posterior(coders.classifier, features, recipe["n_components"], generator=source)
    coders.encoder(0, 2 * recipe["latent"])
    coders.decoder(recipe["latent"], 2)
    return source


def trainable(model: nn.Module) -> nn.Module:
    """What `fit` takes to train a model that a recipe has built."""
    if hasattr(model, "objective"):
        return model.objective.train(model.training)  # pyright: ignore
    return objectives.Likelihood(model) if hasattr(model, "log_prob") else model


def reverse_kl(model: nn.Module, log_density: Callable[[Tensor], Tensor]) -> nn.Module:
    """What `fit_reverse_kl` takes."""
    return objectives.ReverseKL(model, log_density)


def game(
    critic: Callable[[Tensor, Tensor], Tensor],
    generator: Callable[[Tensor], Tensor],
    slope: Callable[..., Tensor],
    weight: float,
) -> Any:
    """What `fit_adversarial` plays."""
    return training.Game(critic=critic, generator=generator, slope=slope, weight=weight)


def sampler(model: nn.Module) -> Callable[..., Tensor] | None:
    """What draws rows from a model, given their number, a context and a source of randomness."""
    density = getattr(model, "mixture", model)
    return density.sample if hasattr(density, "log_prob") else None


def estimator(name: str, **settings: Any) -> Any:
    """An estimator with settings under their recorded names."""
    known = SETTINGS.get(name, {})
    if name == "DeepClustering" and "model_options" in settings:  # some were settings of training
        options = dict(settings.pop("model_options"))
        ways = {"information", "entropy", "certainty", "balance"} & set(options)
        settings |= {f"method_options.{way}": options.pop(way) for way in ways}
        settings |= {"model_options": options} if options else {}
    told: dict[str, Any] = copy.deepcopy(USUAL.get(name, {}))
    for recorded, value in settings.items():
        *groups, setting = known.get(recorded, recorded).split(".")
        place = told
        for group in groups:
            place = place.setdefault(group, {})
        held = place.get(setting)  # a group that some settings have moved into
        place[setting] = {**held, **value} if isinstance(held, dict) else value
    if told.get("start") is True:  # a warm start
        told["start"] = "last"
    return getattr(anabranch, name)(**told)


def parameters(fitted: Any) -> list[Tensor]:
    """All that a fit has learned, in any order."""
    if isinstance(fitted, nn.Module):
        return list(getattr(fitted, "objective", fitted).parameters())
    found = list(fitted.model_.parameters()) if hasattr(fitted, "model_") else []
    inner = getattr(fitted, "mixture_", fitted)
    names = ("weights_", "means_", "covariances_")
    return found + [torch.as_tensor(getattr(inner, n)) for n in names if hasattr(inner, n)]


def histories(fitted: Any) -> list[list[dict[str, float]]]:
    """The histories of the runs of the fit loop that an estimator tells of."""
    if hasattr(fitted, "fit_results_"):
        return [result.history for result in fitted.fit_results_.values()]
    return [fitted.history_] if hasattr(fitted, "history_") else []
