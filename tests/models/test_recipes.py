"""Recipes: built by name from plain values, and built again from a file."""

import inspect
import json
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch

from anabranch.estimators import load, save
from anabranch.models import (
    build,
    conv_realnvp,
    flow_mixture,
    iaf,
    list_recipes,
    maf,
    naf,
    nice,
    nsf,
    realnvp,
    recipe,
    registry,
)
from tests.discovery import example_of
from tests.registry import perturb, seeded

SMALL = {name: example_of(function) for name, function in list_recipes().items()}
VARIANTS = [
    ("rad", {"fold": "tri", "context_features": 2, "batch_shape": [3]}),
    ("rad", {"features": 1, "n_last": 0}),
    ("conditional_glow", {"batch_shape": [2], "n_levels": 1, "n_steps": 1}),
    ("cinn", {"features": 1, "embedding": [], "batch_shape": [3]}),
    ("cinn", {"context_features": 0, "embedding": [], "activation": "tanh"}),
    ("inn", {"batch_shape": [3]}),
    ("inn", {"features": 3, "context_features": 1, "std": 0.5}),
    ("realnvp", {"norm": "actnorm", "activation": "tanh", "batch_shape": [4]}),
    ("realnvp", {"norm": "batchnorm", "context_features": 2, "bound": 0.5}),
    ("realnvp", {"features": 1}),
    ("conv_realnvp", {"norm": "actnorm", "batch_shape": [3], "patch": 1, "n_blocks": 2}),
    ("conv_realnvp", {"features": 8, "image_shape": [2, 2, 2], "context_features": 2}),
    ("glow", {"coupling": "additive", "mixing": "shuffle", "context_features": 2}),
    ("glow", {"batch_shape": [3], "n_levels": 2, "shared_levels": 1, "half_precision": True}),
    ("realnvp_images", {"batch_shape": [2], "context_features": 2, "n_levels": 2}),
    ("made", {"n_orderings": 1, "head": "gaussians", "components": 2, "context_features": 2}),
    ("made", {"head": "laplacians", "direct": True, "batch_shape": [2]}),
    ("made", {"features": 1}),
    ("nade", {"ordering": [2, 0, 1], "context_features": 2, "batch_shape": [4]}),
    ("rnade", {"features": 1, "head": "laplacians", "batch_shape": [2]}),
    ("pixelcnn", {"image_shape": [3, 2, 3], "levels": 4, "position": True}),
    ("pixelcnn", {"kernel_size": 1, "first_kernel": 3, "context_features": 2}),
    ("gated_pixelcnn", {"levels": 256, "head": "logistics", "components": 2}),
    ("gated_pixelcnn", {"context_features": [2, 4, 4], "position": True, "kernel_size": 5}),
    ("row_lstm", {"image_shape": [2, 3, 3], "context_features": 2}),
    ("diagonal_bilstm", {"image_shape": [2, 3], "context_features": 3}),
    ("maf", {"norm": "batchnorm", "hidden": []}),
    ("maf", {"components": 2, "law": "softsign", "context_features": 2, "seed": 1}),
    ("nice", {"base": "normal", "context_features": 2, "batch_shape": [2]}),
    ("nice", {"features": 1}),
    ("nsf", {"structure": "coupling", "ends": "free", "batch_shape": [3], "norm": "actnorm"}),
    ("nsf", {"features": 1, "context_features": 2, "bound": 3.0}),
    ("iaf", {"gate": 1.0, "context_features": 2, "batch_shape": [2]}),
    ("iaf", {"features": 1, "law": "atan", "norm": "actnorm"}),
    ("naf", {"features": 1, "batch_shape": [2]}),
    ("naf", {"context_features": 2, "norm": "actnorm"}),
    ("maf", {"features": 1, "batch_shape": [2]}),
    ("planar", {"inverse": True, "learn_base": True, "context_features": 2, "hidden": [4]}),
    ("planar", {"features": 1, "batch_shape": [2]}),
    ("copula_flow", {"structure": "d", "families": "clayton", "context_features": 2}),
    ("copula_flow", {"features": 1, "batch_shape": [2]}),
    ("copula_flow", {"structure": "triangular", "tails": "gaussian", "batch_shape": [2]}),
    ("radial", {"inverse": True, "learn_base": True, "context_features": 2, "batch_shape": [2]}),
    ("bnaf", {"inverse": True, "context_features": 2, "batch_shape": [2]}),
    ("bnaf", {"features": 1, "n_layers": 1}),
    ("vine", {"features": 1, "batch_shape": [2], "marginals": "kernel"}),
    ("deep_density", {"features": 1, "batch_shape": [2], "alpha": 2.0}),
    ("sic", {"inverse": True, "batch_shape": [2]}),
    ("tabak_turner", {"batch_shape": [4]}),
    ("autoencoder", {"activation": "tanh", "seed": 2}),
    ("dec", {"decoder": True, "alpha": 2.0, "hidden": []}),
    ("gmgan", {"dynamic": True, "likelihood": "bernoulli", "means": [[0.0, 1.0]] * 3}),
    (
        "ltvae",
        {
            "structure": {
                "states": [2, 3],
                "parents": [-1, 0],
                "pouches": [[1], [0]],
                "owners": [0, 1],
            }
        },
    ),
    ("mixae", {"likelihood": "bernoulli", "assignment": []}),
    ("nvisa", {"posterior": "mean_field", "likelihood": "bernoulli"}),
    ("nvisa", {"classifier": "mlp", "floor": 0.1}),
    ("nvisa", {"prior": {"name": "maf", "n_layers": 1}, "activation": "tanh"}),
    (
        "nvisa",
        {
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
    ),
    ("flow_mixture", {"flow": ["planar", "radial"], "n_components": 2}),
    ("flow_mixture", {"flow": {"name": "bnaf", "hidden": [4]}}),
    ("flow_mixture", {"flow": {"name": "tabak_turner", "n_steps": 2}}),
    ("flow_mixture", {"diagonal": True, "learn_weights": False}),
    ("flow_mixture", {"flow": ["realnvp", *[{"name": "maf", "hidden": [4]}] * 2], "seed": 5}),
    ("flow_mixture", {"flow": ["rnade", *[{"name": "made", "head": "gaussians"}] * 2]}),
    ("flow_mixture", {"features": 1, "posterior": {"name": "mlp", "hidden": []}}),
    (
        "flow_mixture",
        {
            "features": 8,
            "flow": {"name": "conv_realnvp", "image_shape": [2, 4], "n_layers": 1, "channels": 3},
            "posterior": {"name": "conv", "image_shape": [2, 4], "channels": [3], "hidden": [4]},
        },
    ),
]


def same_modules(a, b):
    first, second = a.state_dict(), b.state_dict()
    assert list(first) == list(second)
    return all(torch.equal(first[key], second[key]) for key in first)


def said(model, x):
    """What a model without a density says of rows."""
    names = [name for name in ("responsibilities", "log_q", "encode") if hasattr(model, name)]
    return getattr(model, names[0])(x)


@pytest.mark.parametrize(("name", "changes"), [*((name, {}) for name in SMALL), *VARIANTS])
def test_saved_and_loaded_it_is_the_same(tmp_path, name, changes):
    arguments = {**SMALL[name], **changes}
    model = perturb(build(name, **arguments)).eval()
    assert model.recipe == {"name": name, "arguments": json.loads(json.dumps(arguments))}
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.recipe == model.recipe
    assert same_modules(model, loaded)
    assert not loaded.training
    event = getattr(model, "event_shape", (arguments.get("features"),))
    x = torch.randn(5, *event, generator=seeded(0))
    x = (x > 0).float() if getattr(model, "discrete", False) else x
    if not hasattr(model, "log_prob"):
        before, after = (said(m, x) for m in (model, loaded))
    else:
        context = torch.ones(5, *model.context_shape) if model.context_shape else None
        draws = {"generator": 1} if getattr(model, "stochastic", False) else {}
        before, after = (
            m.log_prob(x, context, **{name: seeded(seed) for name, seed in draws.items()})
            for m in (model, loaded)
        )
    assert torch.equal(before, after)
    assert torch.isfinite(before).all()


# where rows set all that there is, nothing is drawn
SEEDED = [name for name in SMALL if "seed" in registry.keywords(name)]


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_decides_all_weights(name):
    models = [build(name, **SMALL[name], seed=seed) for seed in (1, 1, 2)]
    assert same_modules(models[0], models[1])
    assert not same_modules(models[0], models[2])


@pytest.mark.parametrize("name", SEEDED)
def test_a_seed_leaves_the_global_source_alone(name):
    before = torch.get_rng_state()
    build(name, **SMALL[name], seed=1)
    assert torch.equal(torch.get_rng_state(), before)


BY_COUPLING_OR_ORDER = [realnvp, maf, nice, nsf, partial(nsf, structure="coupling"), iaf, naf]


@pytest.mark.parametrize("make", BY_COUPLING_OR_ORDER)
def test_a_fresh_flow_is_the_identity(make):
    flow = make(4, seed=0)
    x = torch.randn(6, 4, generator=seeded(0))
    z, term = flow.transform.encode(x)
    if make in (naf, nsf) or isinstance(make, partial):  # up to what rounding leaves of it
        torch.testing.assert_close(z, x, atol=1e-5, rtol=0)
        torch.testing.assert_close(term, torch.zeros(6), atol=1e-5, rtol=0)
        return
    assert torch.equal(z, x)
    assert torch.equal(term, torch.zeros(6))


def test_gates_are_open_at_first():
    z, term = iaf(4, n_layers=1, gate=1.0).transform.decode(torch.ones(1, 4))
    torch.testing.assert_close(z, torch.full((1, 4), 0.7310585786300049))
    torch.testing.assert_close(term, 4 * z[:, 0].log())


def test_nice_keeps_volumes_up_to_one_scale():
    flow = perturb(nice(5, seed=0))
    terms = flow.transform.encode(torch.randn(6, 5, generator=seeded(0)))[1]
    torch.testing.assert_close(terms, terms[:1].expand(6))
    assert terms[0] != 0


def test_iaf_undoes_maf_of_the_same_weights():
    maf_flow, iaf_flow = (perturb(make(3, n_layers=3, seed=0)).double() for make in (maf, iaf))
    x = torch.randn(6, 3, generator=seeded(0), dtype=torch.float64)
    for there, back in zip(
        maf_flow.transform.transforms, iaf_flow.transform.transforms, strict=True
    ):
        back.transform.load_state_dict(there.state_dict())
        z, term = there.encode(x)
        again, back_term = back.encode(z)
        torch.testing.assert_close(again, x, atol=1e-9, rtol=0)
        torch.testing.assert_close(back_term, -term, atol=1e-9, rtol=0)


def test_a_base_of_mixtures_has_weights_of_its_own():
    flow = perturb(maf(3, components=4, seed=0))
    x = torch.randn(6, 3, generator=seeded(0))
    z, term = flow.transform.encode(x)
    torch.testing.assert_close(flow.log_prob(x), flow.base.log_prob(z) + term)
    assert flow.base.network.last.out_features == 3 * 4 * 3


@pytest.mark.parametrize("make", BY_COUPLING_OR_ORDER)
@pytest.mark.parametrize("features", [1, 2, 3, 6])
def test_every_feature_is_moved(make, features):
    flow = perturb(make(features, n_layers=2, seed=0))
    x = torch.randn(6, features, generator=seeded(0))
    z, _ = flow.transform.encode(x)
    assert (z != x).all()


@pytest.mark.parametrize("image", [[2, 4], [3, 3], [1, 5], [2, 3, 2]])
def test_every_pixel_is_moved_and_told_of(image):
    features = prod(image)
    flow = conv_realnvp(features, image_shape=image, n_layers=2, channels=4, seed=0)
    x = torch.randn(6, features, generator=seeded(0))
    assert torch.equal(flow.transform.encode(x)[0], x)
    z, _ = perturb(flow).transform.encode(x)
    assert (z != x).all()


def test_patches_of_images():
    def places(image_shape, **keywords):
        flow = conv_realnvp(prod(image_shape), image_shape=image_shape, n_layers=1, **keywords)
        return flow.transform.transforms[0].conditioner.position.shape[1:]

    assert places([28, 28]) == (7, 7)
    assert places([6, 8]) == (3, 4)
    assert places([3, 8]) == (3, 8)
    assert places([28, 28], patch=2) == (14, 14)
    with pytest.raises(ValueError, match=r"patch must divide both sides.*28 and 28, got 3"):
        places([28, 28], patch=3)


def test_images_that_do_not_fit():
    with pytest.raises(ValueError, match=r"image_shape \[2, 4\] has 8 pixels, but a row has 9 fea"):
        conv_realnvp(9, image_shape=[2, 4])
    with pytest.raises(ValueError, match="Checkerboard needs more than one field to split"):
        conv_realnvp(3, image_shape=[3, 1, 1])


def test_positional_arguments_are_remembered_by_name():
    assert realnvp(2, hidden=(4, 4)).recipe == {
        "name": "realnvp",
        "arguments": {"features": 2, "hidden": [4, 4]},
    }


def test_an_unknown_recipe():
    with pytest.raises(
        ValueError, match=r"unknown recipe 'gloom'; there are .*, bnaf, .*, flow_mixture, .*, maf, "
    ):
        build("gloom", features=2)
    with pytest.raises(ValueError, match="unknown recipe 'gloom'"):
        flow_mixture(2, 2, flow="gloom")


def test_an_unknown_keyword():
    with pytest.raises(TypeError, match=r"recipe 'maf' has no keyword 'layers'; it has features"):
        build("maf", features=2, layers=3)
    with pytest.raises(TypeError, match=r"recipe 'realnvp' has no keyword 'depth', 'width'"):
        flow_mixture(2, 2, flow={"name": "realnvp", "depth": 3, "width": 2})


def test_a_missing_keyword():
    with pytest.raises(TypeError, match="features"):
        build("maf")


def test_values_that_json_does_not_know(monkeypatch):
    monkeypatch.setattr(registry, "_RECIPES", {})

    @registry.recipe
    def toy(value):
        return torch.nn.Identity()

    with pytest.raises(TypeError, match="recipe 'toy' takes plain JSON values only"):
        toy([torch.tensor(3)])


def test_other_wrong_values():
    with pytest.raises(ValueError, match=r"base must be one of \['logistic', 'normal'\], got 'x'"):
        nice(2, base="x")
    with pytest.raises(ValueError, match=r"structure must be one of .*, got 'x'"):
        nsf(2, structure="x")
    with pytest.raises(ValueError, match="n_layers must be at least 1, got 0"):
        maf(2, n_layers=0)
    with pytest.raises(ValueError, match=r"law must be one of .*, got 'x'"):
        realnvp(2, law="x")
    with pytest.raises(ValueError, match="norm must be 'actnorm', 'batchnorm' or None, got 'x'"):
        realnvp(2, norm="x")
    with pytest.raises(ValueError, match=r"activation must be one of .*, got 'sine'"):
        realnvp(2, activation="sine")
    with pytest.raises(ValueError, match="flow lists 1 recipes for 2 components"):
        flow_mixture(2, 2, flow=["maf"])


def test_a_recipe_of_ones_own():
    @recipe
    def tiny(features: int, *, seed: int = 0):
        return realnvp(features, n_layers=1, hidden=[2], seed=seed)

    try:
        model = build("tiny", features=2, seed=3)
        assert model.recipe == {"name": "tiny", "arguments": {"features": 2, "seed": 3}}
        assert list(inspect.signature(tiny).parameters) == ["features", "seed"]
    finally:
        from anabranch.models import registry

        del registry._RECIPES["tiny"]


def source_of(name):
    return Path(inspect.getsourcefile(inspect.unwrap(list_recipes()[name])))


@pytest.mark.parametrize(
    "name",
    [name for name in SMALL if source_of(name).parent.name in ("flows", "images", "densities")],
)
def test_a_flow_is_a_short_file(name):
    """It reads like its paper's method section; what is long is a primitive."""
    assert len(source_of(name).read_text(encoding="utf-8").splitlines()) <= 80


@pytest.mark.parametrize("name", ["maf", "realnvp", "cnf"])
def test_integers_are_refused_by_name(name):
    for value in (2.0, True, "2"):
        with pytest.raises(ValueError, match=f"features must be an integer, got {value!r}"):
            build(name, features=value)
    many = "n_steps" if name == "cnf" else "n_layers"
    with pytest.raises(ValueError, match=f"{many} must be an integer, got 1.5"):
        build(name, features=2, **{many: 1.5})
    flow = build(name, features=np.int64(2), seed=0)
    assert flow.recipe["arguments"]["features"] == 2
