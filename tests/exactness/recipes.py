"""A small model of each recipe in each of its ways, after a few steps of its fit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.exactness import today
from tests.exactness.data import rows, tensor
from tests.exactness.measures import Record, digest, number, numbers

N = 96
STEPS = {"batch_size": 32, "learning_rate": 0.01, "min_evaluation_steps": 3, "progress": False}


@dataclass(frozen=True)
class RecipeCase:
    """A recipe in one of its ways.

    Attributes:
        recipe: its recorded name.
        arguments: keyword arguments.
        columns: of the data, beside ``x`` and ``context``.
        validated: whether a validation score decides which state is kept.
    """

    recipe: str
    arguments: dict[str, Any]
    columns: dict[str, Tensor] = field(default_factory=dict)
    validated: bool = True

    @property
    def system(self) -> str:
        """What must not be left out."""
        return self.recipe

    def fitted(self, *, resume: bool = False, **changes: Any) -> tuple[nn.Module, Any]:
        """The model after its fit, and the result of that; changes are of the options."""
        model = today.build(self.recipe, **self.arguments, seed=0)
        options = today.FitOptions(**{"max_epochs": 4, **STEPS, **changes})
        data = self._data(model, N)
        source = torch.Generator().manual_seed(1)
        validation = data if self.validated else None
        loss = today.trainable(model)
        result = today.fit(loss, data, validation, options=options, generator=source, resume=resume)
        return model.eval(), result

    def record(self) -> Record:
        """What came out."""
        model, result = self.fitted()
        return {**measured(model, **self.rows_to_score(model)), **told(result)}

    def rows_to_score(self, model: nn.Module) -> dict[str, Tensor]:
        """Eight rows that were not trained on."""
        return {k: v for k, v in self._data(model, 8, seed=5).items() if k in ("x", "context")}

    def _data(self, model: nn.Module, n: int, seed: int = 0) -> dict[str, Tensor]:
        features = self.arguments["features"]
        discrete = bool(getattr(model, "discrete", False))
        likelihood = self.arguments.get("likelihood")
        data = {"x": tensor(n, features, seed=seed, bits=discrete or likelihood == "bernoulli")}
        if context_features := self.arguments.get("context_features"):
            data["context"] = tensor(n, context_features, seed=seed + 1)
        return data | {name: column[:n] for name, column in self.columns.items()}


@dataclass(frozen=True)
class ProcedureCase:
    """A recipe that is fitted by another procedure than the loop alone."""

    recipe: str
    arguments: dict[str, Any]
    procedure: Callable[[nn.Module], Record]

    @property
    def system(self) -> str:
        """What must not be left out."""
        return self.recipe

    def record(self) -> Record:
        """What came out."""
        model = today.build(self.recipe, **self.arguments, seed=0)
        facts = self.procedure(model)
        model.eval().float()
        return {**measured(model, tensor(8, self.arguments["features"], seed=5)), **facts}


@torch.no_grad()
def measured(model: nn.Module, x: Tensor, context: Tensor | None = None) -> Record:
    """Parameters, scores of rows, and a few draws."""
    loss = today.trainable(model)
    if hasattr(model, "log_prob"):
        scores = model.log_prob(x, context)
    else:
        scores = torch.stack([loss({"x": row[None]}).total for row in x])
    found = {"parameters": digest(today.parameters(model)), "scores": numbers(scores)}
    sample = today.sampler(model)
    if sample is not None:
        shape = 3 if context is None else ()  # with a context, one draw for each
        drawn = sample(shape, context=context, generator=torch.Generator().manual_seed(2))
        found["draws"] = numbers(drawn)
    return found


def told(result: Any) -> Record:
    """The end of a run of the fit loop."""
    return {
        "steps": result.steps,
        "best_epoch": result.best_epoch,
        "best_score": number(result.best_score),
        "train_loss": number(result.history[-1]["train_loss"]),
    }


# -- procedures -----------------------------------------------------------------------------------


def _banana(x: Tensor) -> Tensor:
    first, second = x[..., 0], x[..., 1:]
    return -0.5 * (first - second.square().sum(-1)).square() - 0.5 * second.square().sum(-1) + 1.5


def _reverse_kl(model: nn.Module) -> Record:
    objective = today.reverse_kl(model, _banana)
    result = today.fit_reverse_kl(objective, steps=12, n_samples=32, learning_rate=0.01)
    return told(result)


def _ascent(model: nn.Module) -> Record:
    x, held_out = (tensor(n, 3, seed=seed) for n, seed in ((N, 0), (48, 3)))
    result = today.greedy_ascent(
        model, x, held_out, candidates=4, generator=torch.Generator().manual_seed(1)
    )
    return {"train": numbers(result.train), "validation": numbers(result.validation)}


def _adversarial(model: nn.Module) -> Record:
    """The decoder of an autoencoder against a critic."""
    torch.manual_seed(3)
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    latent = 2

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return model.decode(torch.randn(n, latent, generator=generator))

    def slope(f: Any, real: Tensor, drawn: Tensor, generator: torch.Generator | None) -> Tensor:
        share = torch.rand(len(real), 1, generator=generator)
        x = share * real + (1 - share) * drawn
        return (f(x + 0.5) - f(x - 0.5)).reshape(-1).square()

    result = today.fit_adversarial(
        draw,
        (model, critic),
        tensor(N, 3),
        game=today.game(
            lambda real, drawn: drawn.mean() - real.mean(),
            lambda drawn: -drawn.mean(),
            slope,
            1.0,
        ),
        options=today.FitOptions(max_epochs=3, average=0.9, **STEPS),
        critic_steps=1,
        generator=torch.Generator().manual_seed(1),
    )
    last = result.history[-1]
    names = ("train_loss", "critic_loss", "generator_loss", "slope")
    return {
        "critic": digest(list(critic.parameters())),
        "steps": result.steps,
        **{name: number(last[name]) for name in names},
    }


# -- the cases ------------------------------------------------------------------------------------

_FLOW = {"features": 3, "n_layers": 2, "hidden": [8]}
_CODES = {"features": 3, "latent": 2, "hidden": [8]}
_CLUSTERS = {**_CODES, "n_components": 2}
_MIXTURE = {"features": 3, "n_components": 2, "flow": {"name": "maf", "n_layers": 1}}
_IMAGE = {"features": 8, "image_shape": [2, 4], "n_layers": 2, "channels": 4}
_RAD = {"features": 3, "n_folds": 2, "hidden": [8], "gate_hidden": [4]}
_MADE = {"features": 3, "hidden": [8], "n_orderings": 3, "fresh": True}
_NADE = {"features": 3, "hidden": 8}
_TREE = {"states": [2, 3], "parents": [-1, 0], "pouches": [[1], [0]], "owners": [0, 1]}
_LABELS = torch.eye(2)[torch.arange(N) % 2] * (torch.arange(N) < 20)[:, None]
_SOFT = torch.softmax(torch.as_tensor(rows(N, 2, seed=9), dtype=torch.float32), 1)

_BY_RECIPE: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
    "realnvp": (
        _FLOW,
        {
            "actnorm": {"norm": "actnorm", "activation": "tanh", "batch_shape": [4]},
            "batchnorm": {"norm": "batchnorm", "context_features": 2, "bound": 0.5},
            "one feature": {"features": 1},
        },
    ),
    "conv_realnvp": (
        _IMAGE,
        {
            "actnorm": {"norm": "actnorm", "batch_shape": [3], "patch": 1, "n_blocks": 2},
            "context": {"image_shape": [2, 2, 2], "context_features": 2, "activation": "silu"},
        },
    ),
    "maf": (
        _FLOW,
        {
            "batchnorm": {"norm": "batchnorm", "hidden": []},
            "base of mixtures": {"components": 2, "law": "softsign", "context_features": 2},
            "stack": {"features": 1, "batch_shape": [2]},
        },
    ),
    "nice": (
        {**_FLOW, "n_layers": 3},
        {"normal": {"base": "normal", "context_features": 2, "batch_shape": [2]}},
    ),
    "nsf": (
        {**_FLOW, "bins": 3},
        {
            "coupling": {
                "structure": "coupling",
                "ends": "free",
                "batch_shape": [3],
                "norm": "actnorm",
            },
            "context": {"features": 1, "context_features": 2, "bound": 3.0},
        },
    ),
    "iaf": (
        _FLOW,
        {
            "gate": {"gate": 1.0, "context_features": 2, "batch_shape": [2]},
            "one feature": {"features": 1, "law": "atan", "norm": "actnorm"},
        },
    ),
    "naf": (
        {**_FLOW, "units": 3},
        {
            "stack": {"features": 1, "batch_shape": [2]},
            "context": {"context_features": 2, "norm": "actnorm"},
        },
    ),
    "rad": (
        _RAD,
        {
            "tri": {"fold": "tri", "context_features": 2, "batch_shape": [3]},
            "one feature": {"features": 1, "n_last": 0},
        },
    ),
    "made": (
        _MADE,
        {
            "gaussians": {
                "n_orderings": 1,
                "head": "gaussians",
                "components": 2,
                "context_features": 2,
            },
            "laplacians": {"head": "laplacians", "direct": True, "batch_shape": [2]},
        },
    ),
    "nade": (_NADE, {"context": {"ordering": [2, 0, 1], "context_features": 2}}),
    "rnade": (
        {**_NADE, "components": 2},
        {"laplacians": {"features": 1, "head": "laplacians", "batch_shape": [2]}},
    ),
    "planar": ({"features": 3, "n_layers": 2}, {"stack": {"features": 1, "batch_shape": [2]}}),
    "radial": ({"features": 3, "n_layers": 2}, {"context": {"context_features": 2}}),
    "bnaf": ({**_FLOW, "hidden": [4]}, {"one feature": {"features": 1, "n_layers": 1}}),
    "tabak_turner": ({"features": 3, "n_steps": 3}, {"stack": {"batch_shape": [4]}}),
    "flow_density": (
        {"features": 3, "flow": {"name": "maf", "n_layers": 1}},
        {"context": {"context_features": 2}},
    ),
    "autoencoder": (_CODES, {"corruption": {"corruption": 0.2, "activation": "tanh"}}),
    "vae": (_CODES, {"bernoulli": {"likelihood": "bernoulli"}}),
    "dec": (_CLUSTERS, {"idec": {"reconstruction": 1.0, "alpha": 2.0, "hidden": []}}),
    "vade": (_CLUSTERS, {"bernoulli": {"likelihood": "bernoulli"}}),
    "hierarchical_gmvae": (
        _CLUSTERS,
        {"information": {"information": 1.0, "entropy": 0.5, "latent_prior": 3}},
    ),
    "gmgan": (
        _CLUSTERS,
        {
            "dynamic": {
                "dynamic": True,
                "likelihood": "bernoulli",
                "means": [[0.0, 1.0], [1.0, 0.0]],
            }
        },
    ),
    "ltvae": (_CLUSTERS, {"tree": {"structure": _TREE}}),
    "mixae": (
        {**_CLUSTERS, "latent": 1},
        {"bernoulli": {"likelihood": "bernoulli", "assignment": [], "certainty": 0.0}},
    ),
    "gmvae": (
        _CLUSTERS,
        {
            "enumerate": {"objective": "enumerate", "prior": {"name": "maf", "n_layers": 1}},
            "iwae": {"objective": "iwae", "samples": 3},
            "nvil": {"posterior": "mean_field", "objective": "nvil", "baseline": []},
            "gumbel": {"objective": "gumbel", "temperature": 0.7},
            "reparameterized": {"reparameterized": True, "samples": 4, "floor": 0.1},
            "bernoulli": {"likelihood": "bernoulli", "activation": "tanh"},
            "consistency": {
                "consistency": 1.0,
                "balance": 0.1,
                "classifier": "mlp",
                "perturbation": "noise",
            },
            "invariant": {
                "inference": "invariant",
                "consistency": 1.0,
                "balance": 0.2,
                "perturbation": "adversarial",
            },
            "conv": {
                "features": 8,
                "network": {
                    "name": "conv",
                    "image_shape": [2, 4],
                    "channels": [3, 4],
                    "strides": [1, 2],
                    "residual": True,
                    "hidden": [8],
                },
                "prior": "realnvp",
            },
        },
    ),
    "flow_mixture": (
        _MIXTURE,
        {
            "planar and radial": {"flow": ["planar", "radial"]},
            "bnaf": {"flow": {"name": "bnaf", "hidden": [4]}},
            "tabak_turner": {"flow": {"name": "tabak_turner", "n_steps": 2}},
            "batchnorm": {"flow": {"name": "realnvp", "norm": "batchnorm", "hidden": [4]}},
            "trunk": {"flow": None, "trunk": {"name": "nsf", "n_layers": 1, "hidden": [4]}},
            "variational": {
                "inference": "variational",
                "diagonal": True,
                "learn_weights": False,
            },
            "consistency": {"consistency": 1.0, "balance": 0.2, "perturbation": "noise"},
            "pseudo-labels": {"pseudo_labels": True, "consistency": 1.0, "perturbation": "noise"},
            "unlike flows": {"flow": ["realnvp", {"name": "maf", "hidden": [4]}]},
            "rnade and made": {
                "flow": ["rnade", {"name": "made", "head": "gaussians", "n_orderings": 2}]
            },
            "one feature": {"features": 1, "posterior": {"name": "mlp", "hidden": []}},
            "images": {
                "features": 8,
                "flow": {
                    "name": "conv_realnvp",
                    "image_shape": [2, 4],
                    "n_layers": 1,
                    "channels": 3,
                },
                "posterior": {
                    "name": "conv",
                    "image_shape": [2, 4],
                    "channels": [3],
                    "hidden": [4],
                },
            },
        },
    ),
}

_BENT = {"features": 3, "n_layers": 2, "inverse": True, "learn_base": True}

CASES: dict[str, RecipeCase | ProcedureCase] = {
    **{name: RecipeCase(name, small) for name, (small, _) in _BY_RECIPE.items()},
    **{
        f"{name}: {way}": RecipeCase(name, {**small, **changes})
        for name, (small, ways) in _BY_RECIPE.items()
        for way, changes in ways.items()
    },
    # the sharper its targets, the higher its loss
    "dec": RecipeCase("dec", _CLUSTERS, validated=False),
    "dec: targets": RecipeCase("dec", _CLUSTERS, {"targets": _SOFT}),
    "gmvae: labels": RecipeCase("gmvae", {**_CLUSTERS, "label_weight": 2.0}, {"targets": _LABELS}),
    "flow_mixture: labels": RecipeCase("flow_mixture", _MIXTURE, {"targets": _LABELS}),
    "flow_mixture: responsibilities": RecipeCase(
        "flow_mixture", _MIXTURE, {"responsibilities": _SOFT}
    ),
    "planar: reverse KL": ProcedureCase("planar", _BENT, _reverse_kl),
    "radial: reverse KL": ProcedureCase("radial", {**_BENT, "batch_shape": [2]}, _reverse_kl),
    "bnaf: reverse KL": ProcedureCase(
        "bnaf", {"features": 3, "n_layers": 1, "hidden": [4], "inverse": True}, _reverse_kl
    ),
    "tabak_turner: ascent": ProcedureCase("tabak_turner", {"features": 3, "n_steps": 20}, _ascent),
    "autoencoder: adversarial": ProcedureCase("autoencoder", _CODES, _adversarial),
}
