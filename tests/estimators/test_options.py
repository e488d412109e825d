"""Every option of the estimators does something: a test that fails where it does not."""

import numpy as np
import pytest
import torch

from anabranch import FlowGMM, FlowMixture, GaussianMixture, load, save
from anabranch.estimators.mixture_plan import MixturePlan
from anabranch.estimators.unused import UnusedSettingWarning
from anabranch.models import flow_mixture
from anabranch.problems import Pinwheel
from anabranch.procedures.mixture_epochs import epoch_hook
from anabranch.procedures.preparation import Preparation
from anabranch.procedures.rows import Rows
from tests.estimators.data import FLOW, bent, blobs, moved, picture, quick

X, Y = bent()


def few(y, per_class):
    labels = np.full(len(y), -1)
    for k in np.unique(y):
        labels[np.flatnonzero(y == k)[:per_class]] = k
    return labels


def uneven():
    """Two far clusters of 300 and 100 rows."""
    random = np.random.RandomState(0)
    labels = np.arange(400) % 4 == 0
    return random.randn(400, 2) + 9 * labels[:, None], labels.astype(int)


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["exact", "network"])
@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_weights_are_updated_every_epoch(weights, inference):
    X, _ = uneven()
    # a start that is uniform, so that the shares have to be found in training
    mixture = FlowMixture(
        2,
        flow=FLOW,
        inference=inference,
        model_options={"weights": weights},
        max_epochs=5,
        random_state=0,
    ).fit(X)
    assert np.sort(mixture.weights_) == pytest.approx([0.25, 0.75], abs=0.02)
    uniform = FlowMixture(
        2, flow=FLOW, model_options={"weights": "uniform"}, max_epochs=5, random_state=0
    ).fit(X)
    assert uniform.weights_ == pytest.approx([0.5, 0.5])


def hooked(settings, n=40, **changes):
    """A model, its data, and what a fit does before each epoch."""
    model = flow_mixture(2, 2, flow=FLOW, seed=0)
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    rows = Rows(z, torch.zeros(n), **changes)
    data = rows.batch("cpu")
    plan, preparation = MixturePlan.of(settings), Preparation.empty(2, levels=None, alpha=1e-6)
    return model, data, epoch_hook(model, data, rows, plan, preparation, 0)


@pytest.mark.parametrize("how", ["exact", "network"])
def test_the_update_is_the_mean_answer(how):
    model, data, hook = hooked(quick(2, weights=how))
    with torch.no_grad():
        model.posterior.last.weight.mul_(3)
        for parameter in model.mixture.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        log = model.log_q(data["x"]) if how == "network" else model.mixture.log_posterior(data["x"])
    assert hook(0) is None
    assert torch.allclose(model.mixture.log_weights.exp(), log.exp().mean(1), atol=1e-3)


def test_no_hook_where_nothing_changes():
    assert hooked(quick(2))[2] is None


# --- labels -------------------------------------------------------------------------------------


def half_labelled(n=40):
    targets = torch.zeros(n, 2)
    targets[:10, 0] = 1
    return {"targets": targets}


def test_labelled_rows_come_first_and_then_take_turns():
    settings = quick(2, order="alternate", pretrain_epochs=2)
    hook = hooked(settings, **half_labelled())[2]
    turns = [hook(epoch).tolist() for epoch in range(6)]
    known, unknown = list(range(10)), list(range(10, 40))
    assert turns == [known, known, unknown, known, unknown, known]


def test_joint_epochs_go_through_all_rows_after_the_pretraining():
    hook = hooked(quick(2, pretrain_epochs=1), **half_labelled())[2]
    assert hook(0).tolist() == list(range(10))
    assert hook(1) is None


@pytest.mark.parametrize(
    "changes",
    [{"order": "alternate"}, {"pretrain_epochs": 3}, {"label_weight": 20.0}],
    ids=lambda c: next(iter(c)),
)
def test_ways_of_teaching_differ_and_work(changes):
    labels = few(Y, 10)
    plain, other = (moved(**c).fit(X, labels) for c in ({}, changes))
    assert (plain.score_samples(X) != other.score_samples(X)).any()
    assert (other.predict(X) == Y).mean() > 0.9


def test_labels_of_some_classes_only():
    X, y = blobs()
    labels = np.where(y == 2, 2, -1)
    labels[np.flatnonzero(y == 2)[5:]] = -1
    mixture = quick().fit(X, labels)
    assert (mixture.predict(X)[y == 2] == 2).all()
    assert len(set(mixture.predict(X))) == 3


# --- consistency --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 2.0},
        {"weight": 2.0, "perturbation": "adversarial"},
        {"weight": 2.0, "balance": 0.3},
        {"decay": 0.1},
        {"unit": "epoch"},
    ],
    ids=["noise", "adversarial", "balance", "decay", "per epoch"],
)
def test_options_of_q_change_q(changes):
    plain, other = (
        moved(inference="variational", init_params="kmeans", **c).fit(X) for c in ({}, changes)
    )
    assert np.abs(plain.predict_proba(X) - other.predict_proba(X)).max() > 1e-4


@pytest.mark.parametrize("perturbation", ["noise", "adversarial"])
def test_perturbations_repeat_with_the_seed_and_leave_others_alone(perturbation):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    settings = {"weight": 2.0, "perturbation": perturbation, "init_params": "kmeans"}
    first, second = (
        moved(inference="variational", max_epochs=5, **settings).fit(X) for _ in range(2)
    )
    assert (first.predict_proba(X) == second.predict_proba(X)).all()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    third = moved(inference="variational", max_epochs=5, **settings).fit(X)
    assert (first.predict_proba(X) == third.predict_proba(X)).all()


def test_a_consistent_fit_that_was_interrupted_ends_with_the_same_bits(tmp_path):
    settings = {"weight": 2.0, "init_params": "kmeans", "inference": "variational"}
    whole = moved(max_epochs=8, **settings).fit(X)
    checkpoint = {"checkpoint": str(tmp_path / "fit.checkpoint")}
    moved(max_epochs=4, fit_options=checkpoint, **settings).fit(X)
    resumed = moved(max_epochs=8, fit_options=checkpoint, **settings).fit(X, resume=True)
    assert (whole.predict_proba(X) == resumed.predict_proba(X)).all()


def test_temperature_per_epoch_falls_more_slowly():
    step, epoch = (
        moved(
            inference="variational",
            init_params="kmeans",
            max_epochs=5,
            decay=0.1,
            unit=unit,
        )
        .fit(X)
        .history_[-1]["temperature"]
        for unit in ("step", "epoch")
    )
    assert epoch == pytest.approx(np.exp(-0.4))
    assert step < epoch


def weights_of(mixture):
    plan = MixturePlan.of(mixture)
    return plan.weight, plan.balance


def test_the_weights_of_regularisation_go_with_the_inference():
    assert weights_of(FlowMixture()) == (0.0, 0.0)
    invariant = FlowMixture(inference="invariant")
    assert weights_of(invariant) == (1.0, 0.2)
    invariant.set_params(consistency__weight=3.0)
    assert weights_of(invariant) == (3.0, 0.2)


def test_invariant_inference_finds_blobs():
    X, y = blobs(600)
    mixture = quick(inference="invariant", perturbation={"name": "noise", "scale": 0.3}).fit(X)
    assert mixture.start_ == "invariant"
    for method in ("network", "exact"):
        labels = mixture.predict(X, method=method)
        assert all(np.bincount(labels[y == k]).max() > 190 for k in range(3))


def test_invariant_clusters_take_the_numbers_of_labels():
    X, y = blobs(600)
    y = (y + 1) % 3
    noise = {"name": "noise", "scale": 0.3}
    mixture = quick(inference="invariant", perturbation=noise).fit(X, few(y, 3))
    for method in ("network", "exact"):
        assert (mixture.predict(X, method=method) == y).mean() > 0.95


def test_q_sees_integers_not_their_logits():
    X, _ = picture()
    mixture = quick(2, model_options={"levels": 8}, inference="variational").fit(X)
    q = torch.as_tensor(mixture.predict_proba(X))
    seen = torch.as_tensor(X / 7, dtype=torch.float32)
    with torch.no_grad():
        expected = torch.softmax(mixture.model_.posterior(seen) / mixture.model_.temperature, 1)
    assert torch.allclose(q.float(), expected, atol=1e-6)


# --- how many -----------------------------------------------------------------------------------


def test_components_that_are_not_needed_are_taken_out():
    X, y = blobs(900)
    mixture = quick("auto", max_components=7).fit(X)
    assert mixture.n_components_ == 3
    assert mixture.predict_proba(X).shape == (900, 3)
    assert all(len(set(mixture.predict(X)[y == k])) == 1 for k in range(3))


def test_the_cost_decides_how_many():
    random = np.random.RandomState(0)
    X = random.randn(600, 2) + [4.0, 0.0] * (np.arange(600) % 2)[:, None]
    cheap, dear = (
        quick("auto", flow=None, max_components=3, component_cost=cost).fit(X)
        for cost in (1e-2, 0.3)
    )
    assert (cheap.n_components_, dear.n_components_) == (2, 1)


# --- weight sharing, FlowGMM --------------------------------------------------------------------


def test_a_shared_trunk_learns():
    start = moved(flow=None, max_epochs=0, init_params="kmeans").fit(X)
    mixture = moved(flow=None, trunk=FLOW, max_epochs=60, init_params="kmeans").fit(X)
    assert mixture.score(X) > start.score(X) + 0.1


def test_flow_gmm_is_one_flow_over_gaussians():
    model = FlowGMM(2, flow=FLOW, max_epochs=3, random_state=0).fit(X)
    (group,) = model.model_.mixture.groups
    trunk, _ = group.density.transform.transforms
    assert trunk.batch_shape == ()
    assert model.bic(X) < FlowMixture(2, flow=FLOW, max_epochs=3, random_state=0).fit(X).bic(X) * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"means": {"start": "random"}},
        {"means": {"start": "random", "spread": 9.0}},
        {"means": {"fixed": True}},
        {"consistency": {"weight": 2.0}},
    ],
    ids=str,
)
def test_options_of_flow_gmm_do_something(changes):
    settings = {"flow": FLOW, "max_epochs": 10, "random_state": 0, "batch_size": 100}
    labels = few(Y, 5)
    plain, other = (FlowGMM(2, **settings, **c).fit(X, labels) for c in ({}, changes))
    assert (plain.score_samples(X) != other.score_samples(X)).any()
    if changes == {"means": {"fixed": True}}:
        start = FlowGMM(2, **{**settings, "max_epochs": 0}).fit(X, labels)
        a, b = (m.model_.mixture.groups[0].density.transform.transforms[1] for m in (start, other))
        assert torch.equal(a.loc, b.loc)


def test_flow_gmm_and_auto_go_through_files(tmp_path):
    X, _ = blobs(300)
    for model in (
        FlowGMM(3, flow=FLOW, max_epochs=2, random_state=0).fit(X),
        quick("auto", max_components=5, trunk=FLOW, weight=0.5).fit(X),
    ):
        save(model, tmp_path / "model.safetensors")
        same = load(tmp_path / "model.safetensors")
        assert type(same) is type(model)
        assert same.get_params() == model.get_params()
        assert (same.predict_proba(X) == model.predict_proba(X)).all()
        assert (same.score_samples(X) == model.score_samples(X)).all()


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_components": "many"}, "n_components"),
        ({"n_components": "auto", "max_components": 0}, "max_components"),
        ({"n_components": "auto", "flow": ["maf", "realnvp"]}, "one flow"),
        ({"n_components": "auto", "weights": [0.5, 0.5]}, "weights"),
        ({"component_cost": -1}, "component_cost"),
        ({"weight": -1.0}, "consistency"),
        ({"weight": np.nan}, "consistency"),
        ({"balance": 0.1}, "balance"),
        ({"inference": "invariant", "balance": 0.0}, "invariant"),
        ({"steps": 0}, "steps"),
        ({"order": "maybe"}, "semi_supervised"),
        ({"unit": "hour"}, "unit"),
        ({"pretrain_epochs": -1}, "pretrain_epochs"),
        ({"label_weight": 0.0}, "label_weight"),
        ({"weights": "guessed"}, "weights"),
        ({"weight": 1.0, "perturbation": "magic"}, "magic"),
        ({"weight": 1.0, "perturbation": {"name": "affine"}}, "image_shape"),
        ({"posterior": "magic"}, "posterior"),
        ({"n_components": "auto", "component_cost": 0.1}, "component_cost"),
    ],
)
def test_settings_that_cannot_be_meant(changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**{"n_components": 2, **changes}).fit(X)


def test_auto_is_for_rows_without_labels():
    with pytest.raises(ValueError, match="leave y out"):
        quick("auto").fit(X, Y)


def test_means_must_be_known():
    with pytest.raises(ValueError, match="means"):
        FlowGMM(2, means={"start": "far"}).fit(X)


@pytest.mark.slow
def test_wings_without_a_number_of_wings():
    X, _ = Pinwheel(3).sample_per_component(300, random_state=0)
    mixture = FlowMixture(
        "auto", model_options={"max_components": 6}, random_state=0, max_epochs=60
    ).fit(X)
    assert mixture.n_components_ == 3


def test_without_patience_the_rate_falls_over_the_whole_run():
    mixture = moved(patience=None, max_epochs=24).fit(bent()[0])
    rates = [entry["learning_rate"] for entry in mixture.history_]
    assert rates[0] == 0.01
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.001
    assert mixture.n_iter_ == 24


# --- starts and ends ----------------------------------------------------------------------------


def test_a_fit_begins_where_it_is_told():
    given = moved(start=Y, max_epochs=0).fit(X)
    assert given.start_ == "given"
    assert (given.predict(X) == Y).mean() > 0.8
    turned = moved(start=np.eye(2)[1 - Y], max_epochs=0).fit(X)
    assert (turned.predict(X) == given.predict(X)).mean() < 0.01


def test_a_fit_begins_at_what_another_mixture_says():
    other = GaussianMixture(2, random_state=0).fit(X)
    begun = moved(start=other, max_epochs=0).fit(X)
    assert (begun.predict(X) == other.predict(X)).mean() > 0.95


def test_a_fit_goes_on_from_another_and_leaves_it_alone():
    other = moved(init_params="kmeans", max_epochs=5).fit(X)
    before = other.score_samples(X)
    further = moved(start=other, max_epochs=20).fit(X)
    assert further.lower_bound_ > other.lower_bound_
    assert (other.score_samples(X) == before).all()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("first", "start must be 'last', labels"),
        (Y[:-1], "start must be .*entries for 400 rows"),
        (np.zeros(400, int), "start gives component 1 no rows"),
        (np.where(Y, 1, -1), "start must give every row a component"),
        (Y + 1, "start must be .*labels must be 0..1"),
        (GaussianMixture(2), "not fitted"),
    ],
)
def test_starts_that_cannot_be(start, message):
    with pytest.raises(ValueError, match=message):
        moved(start=start).fit(X)


@pytest.mark.parametrize("changes", [{"inference": "invariant"}, {"n_components": "auto"}])
def test_what_finds_its_own_start_takes_no_other(changes):
    with pytest.raises(ValueError, match="finds a start of its own"):
        quick(**{"n_components": 2, "start": Y, **changes}).fit(X)


def test_the_last_state_is_kept_where_it_is_asked_for():
    settings = {"init_params": "kmeans", "max_epochs": 1, "learning_rate": 1.0, "hedge": False}
    best, last = (moved(keep=keep, **settings).fit(X) for keep in ("best", "last"))
    assert last.lower_bound_ < best.lower_bound_
    assert last.lower_bound_ == -last.history_[-1]["validation_nll"]
    assert last.fit_result_.best_epoch == 1


def test_the_stages_of_a_fit_are_listed():
    labels = few(Y, 10)
    assert moved(init_params="kmeans").fit(X).fit_result_.stages == ["train", "teach q"]
    taught = moved().fit(X, labels).fit_result_.stages
    assert taught == ["pretrain", "train", "teach q"]
    variational = moved(init_params="kmeans", inference="variational").fit(X)
    assert variational.fit_result_.stages == ["teach q", "train"]


# --- unused settings ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"decay": 0.1}, "temperature is not used: inference is 'exact'"),
        ({"perturbation": "adversarial"}, "consistency.perturbation is not used"),
        ({"steps": 3}, "consistency.steps is not used"),
        ({"pretrain_epochs": 3}, "semi_supervised is not used: there are no labels"),
        ({"max_components": 3}, "model_options.max_components is not used"),
        ({"component_cost": 0.1}, "model_options.component_cost is not used"),
        ({"logit_alpha": 0.1}, "model_options.logit_alpha is not used"),
        ({"start": Y, "n_init": 3}, "n_init is not used: start is given"),
        ({"start": Y, "init_params": "gmm"}, "init_params is not used: start is given"),
    ],
)
def test_what_a_fit_does_not_use_it_says(changes, name):
    with pytest.warns(UnusedSettingWarning, match=name):
        quick(2, **{"max_epochs": 0, **changes}).fit(X)


def test_em_does_not_take_the_weights_of_q():
    with pytest.raises(ValueError, match="weights must not be 'network'"):
        quick(2, algorithm="em", weights="network").fit(X)
