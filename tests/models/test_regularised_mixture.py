"""Consistency, balance, invariant inference, shared trunks and pruning, against plain numbers."""

import numpy as np
import pytest
import torch

from anabranch.models import flow_mixture, keep_components
from anabranch.models.counting import free_parameters
from anabranch.objectives import MixtureObjective, make_perturbation
from anabranch.transforms import BatchNorm
from tests.registry import perturb, seeded

K, D, N = 3, 2, 7
SMALL = {"flow": {"name": "realnvp", "n_layers": 2, "hidden": [8]}, "seed": 0}
NOISE = {"name": "noise", "scale": 0.3}


def model_of(**changes):
    return perturb(flow_mixture(D, K, **{**SMALL, **changes}), std=0.4).double()


def objective_of(perturbation=None, **settings):
    moved = None if perturbation is None else make_perturbation(perturbation, features=D)
    return MixtureObjective(model_of(), perturbation=moved, **settings).double()


@pytest.fixture
def x():
    return torch.randn(N, D, generator=seeded(0), dtype=torch.float64)


def total(objective, x, seed=5, **batch):
    return objective.train()({"x": x, **batch}, generator=seeded(seed)).total


def log_q_of(model, x):
    return torch.log_softmax(model.posterior(x).mT, 0)


@pytest.mark.parametrize("inference", ["exact", "variational"])
def test_consistency_and_balance_add_what_they_say(x, inference):
    plain = objective_of(inference=inference)
    regular = objective_of(inference=inference, consistency=2.0, balance=0.5, perturbation=NOISE)
    moved = regular.perturbation(x, None, seeded(5))
    p, q = log_q_of(plain.model, x), log_q_of(plain.model, moved)
    divergence = (p.exp() * (p - q)).sum(0).mean()
    mean = p.exp().mean(1)
    entropy = -(p.exp() * p).sum(0).mean() - 4 * -(mean * mean.log()).sum()
    expected = total(plain, x) + 2.0 * divergence + 0.5 * entropy
    assert total(regular, x).item() == pytest.approx(expected.item(), abs=1e-12)
    assert divergence > 1e-3
    regular.ramp.fill_(0.25)
    expected = total(plain, x) + 0.5 * divergence + 0.5 * entropy
    assert total(regular, x).item() == pytest.approx(expected.item(), abs=1e-12)


def test_the_point_itself_is_held_fixed(x):
    objective = objective_of(inference="invariant", consistency=1.0, perturbation=NOISE)
    total(objective, x).backward()
    found = objective.model.posterior.last.weight.grad.clone()
    moved = objective.perturbation(x, None, seeded(5))
    held = log_q_of(objective.model, x).detach()
    loss = (held.exp() * (held - log_q_of(objective.model, moved))).sum(0).mean()
    (expected,) = torch.autograd.grad(loss, objective.model.posterior.last.weight)
    assert torch.allclose(found, expected, atol=1e-12)


def test_consistency_is_for_training_only(x):
    plain, regular = objective_of(), objective_of(consistency=2.0, perturbation=NOISE)
    assert regular.eval()({"x": x}).total == plain.eval()({"x": x}).total


def test_invariant_inference_leaves_q_to_consistency(x):
    objective = objective_of(inference="invariant", consistency=1.0, perturbation=NOISE)
    objective.ramp.zero_()
    loss = total(objective, x)
    q, joint = objective.model.log_q(x).exp(), objective.model.mixture.joint_log_prob(x)
    assert loss.item() == pytest.approx(-(q * joint).sum(0).mean().item(), abs=1e-12)
    loss.backward()
    assert not any(
        p.grad is not None and p.grad.any() for p in objective.model.posterior.parameters()
    )
    assert any(p.grad is not None and p.grad.any() for p in objective.model.mixture.parameters())


def test_invariant_inference_needs_something_to_be_invariant_to():
    with pytest.raises(ValueError, match="perturbation"):
        MixtureObjective(flow_mixture(2, 3), inference="invariant")


def test_pseudo_labels_come_from_the_moved_points(x):
    objective = objective_of(consistency=3.0, perturbation=NOISE, pseudo_labels=True)
    plain = objective_of()
    moved = objective.perturbation(x, None, seeded(5))
    labels = objective.model.mixture.joint_log_prob(moved).argmax(0)
    chosen = objective.model.mixture.joint_log_prob(x)[labels, torch.arange(N)]
    expected = total(plain, x) - 3.0 * chosen.mean()
    assert total(objective, x).item() == pytest.approx(expected.item(), abs=1e-10)


def test_the_posterior_may_see_other_features(x):
    objective = objective_of(inference="variational")
    features = torch.randn(N, D, generator=seeded(9), dtype=torch.float64)
    q = torch.log_softmax(objective.model.posterior(features).mT, 0)
    joint = objective.model.mixture.joint_log_prob(x)
    expected = -(q.exp() * (joint - q)).sum(0).mean()
    assert total(objective, x, features=features).item() == pytest.approx(
        expected.item(), abs=1e-12
    )


def test_labelled_rows_weigh_what_they_are_told(x):
    targets = torch.zeros(N, K, dtype=torch.float64)
    targets[0, 1] = 1
    one, five = objective_of(), objective_of(label_weight=5.0)
    joint, log_q = one.model.mixture.joint_log_prob(x), one.model.log_q(x)
    labelled = -(joint[1, 0] + log_q[1, 0])
    difference = total(five, x, targets=targets) - total(one, x, targets=targets)
    assert difference.item() == pytest.approx(4 * labelled.item() / N, abs=1e-12)


# --- shared trunks ------------------------------------------------------------------------------


def test_a_trunk_is_a_flow_before_all_components(x):
    model = model_of(trunk={"name": "realnvp", "n_layers": 3, "hidden": [8]})
    trunk = model.mixture.groups[0].transform.transforms[0]
    z, term = trunk.encode(x)
    own = flow_mixture(D, K, **SMALL).double()
    for name, tensor in own.mixture.state_dict().items():
        source = name
        if "_transforms." in name and name.startswith("_groups.0.transform._transforms."):
            rest = name.removeprefix("_groups.0.transform._transforms.")
            number, _, tail = rest.partition(".")
            source = f"_groups.0.transform._transforms.{int(number) + 1}.{tail}"
        tensor.copy_(model.mixture.state_dict()[source])
    expected = own.mixture.component_log_prob(z) + term
    assert torch.allclose(model.mixture.component_log_prob(x), expected, atol=1e-12)
    assert term.abs().max() > 1e-3


def test_a_trunk_saves_parameters():
    unshared = flow_mixture(D, 5, flow={"name": "realnvp", "n_layers": 8})
    shared = flow_mixture(
        D, 5, flow={"name": "realnvp", "n_layers": 2}, trunk={"name": "realnvp", "n_layers": 6}
    )
    assert free_parameters(shared.mixture) < 0.45 * free_parameters(unshared.mixture)


def test_without_flows_components_are_gaussians(x):
    model = flow_mixture(D, K, flow=None, seed=0).double()
    joint = model.mixture.joint_log_prob(x)
    normal = -0.5 * x.square().sum(1) - np.log(2 * np.pi) - np.log(K)
    assert torch.allclose(joint, normal.expand(K, N), atol=1e-6)


# --- weighted statistics ------------------------------------------------------------------------


def test_batch_norm_inside_a_component_sees_the_points_it_owns():
    flow = {"name": "realnvp", "n_layers": 1, "hidden": [8], "norm": "batchnorm"}
    model = flow_mixture(1, 2, flow=flow, seed=0).double()
    left = torch.randn(50, 1, generator=seeded(0), dtype=torch.float64) - 20
    right = 3 * torch.randn(50, 1, generator=seeded(1), dtype=torch.float64) + 20
    x = torch.cat([left, right])
    with torch.no_grad():
        for parameter in model.posterior.parameters():
            parameter.zero_()
        model.posterior.hidden[0].weight[0, 0] = 1.0
        model.posterior.hidden[0].weight[1, 0] = -1.0
        model.posterior.hidden[1].weight[:2, :2] = torch.eye(2)
        model.posterior.last.weight[0, 1] = 5.0
        model.posterior.last.weight[1, 0] = 5.0
    norm = next(m for m in model.modules() if isinstance(m, BatchNorm))
    norm.momentum = 0.0
    MixtureObjective(model).train()({"x": x})
    assert norm.running_mean.flatten().tolist() == pytest.approx([-20, 20], abs=0.7)
    assert norm.running_var.flatten().tolist() == pytest.approx([1, 9], rel=0.5)
    assert norm.row_weights is None


# --- pruning ------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"trunk": "realnvp"}, {"flow": "maf"}, {"flow": None}])
def test_what_is_kept_stays_as_it_was(x, changes):
    model = model_of(**changes)
    kept = keep_components(model, [2, 0])
    before = model.mixture.component_log_prob(x)
    assert torch.equal(kept.double().mixture.component_log_prob(x), before[[2, 0]])
    weights = model.mixture.log_weights.exp()[[2, 0]]
    assert torch.allclose(kept.mixture.log_weights.exp(), weights / weights.sum())
    assert torch.allclose(kept.log_q(x), torch.log_softmax(model.posterior(x).mT[[2, 0]], 0))


def test_frozen_parameters_stay_frozen():
    model = model_of()
    model.mixture.groups[0].transform.transforms[0].requires_grad_(False)
    kept = keep_components(model, [1])
    frozen = {name for name, p in kept.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen


def test_nothing_and_unlike_components_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        keep_components(model_of(), [])
    unlike = flow_mixture(2, 2, flow=["realnvp", "maf"])
    with pytest.raises(ValueError, match="unlike"):
        keep_components(unlike, [0])
