"""Whole numbers are exact in any order, and rounding a model costs next to nothing."""

import numpy as np
import pytest
import torch

from anabranch.coding import IntegerLinear, IntegerModel, freeze, information
from anabranch.coding.integer_model import ONE
from anabranch.coding.pixels import _inputs
from anabranch.distributions import LocalContext
from tests.coding.models import drawn_model, images, integer_model, pixels


def layer(weight, bias=0, shift=0, lower=-(2**14), upper=2**14):
    weight = torch.tensor(weight, dtype=torch.int8)
    n = len(weight)
    return IntegerLinear(
        weight,
        torch.full((n,), bias, dtype=torch.int32),
        torch.full((n,), shift, dtype=torch.int8),
        lower,
        upper,
    )


def inputs_of(model, x):
    levels = torch.as_tensor(x.astype(np.int64))
    components = torch.arange(len(x)) % model.n_components
    return _inputs(model, levels, components, torch.arange(model.size))


def test_the_certificate_is_the_largest_sum():
    wide = layer([[127] * 4, [-3, 2, 0, 0]], bias=-10)
    assert wide.certificate(255) == 4 * 127 * 255 + 10
    x = torch.tensor([[255.0] * 4]).double()
    assert abs(float((x @ wide.weight.double().T - 10).max())) <= wide.certificate(255)


def test_a_wider_float_carries_what_a_narrow_one_cannot():
    weight = [[127] * 600]
    assert layer(weight[:1]).carrier(127) == torch.float32
    assert layer(weight[:1]).carrier(255) == torch.float64
    # at this size float32 is off, which the certificate is there to keep out
    source = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2**12, (50, 2**12), generator=source)
    w = torch.randint(1, 128, (2**12,), generator=source)
    exact = (x * w).sum(-1)
    assert (x.double() @ w.double() == exact).all()
    assert (x.float() @ w.float() != exact).any()


def test_sums_beyond_every_float_are_refused():
    huge = layer([[127] * 4])
    with pytest.raises(ValueError, match="float64"):
        huge.carrier(2**50)


def test_outputs_are_shifted_and_bounded():
    found = layer([[2], [2], [-2]], bias=1, shift=1, lower=0, upper=5)(torch.tensor([[1.0], [9.0]]))
    assert found.tolist() == [[1.0, 1.0, 0.0], [5.0, 5.0, 0.0]]


@pytest.mark.parametrize(("shape", "levels"), [((5, 6), 256), ((4, 4), 2), ((3, 4, 3), 200)])
def test_frequencies_are_positive_and_fill_the_whole(shape, levels):
    model = integer_model(shape, levels)
    sizes = model.frequencies(model.logits(*inputs_of(model, pixels(model))))
    assert sizes.min() >= 1
    assert (sizes.sum(-1) == 2**16).all()


def test_the_worst_logits_do_not_overflow():
    model = integer_model()
    for logits in (torch.zeros(1, 256), torch.full((1, 256), -(2.0**14)), torch.eye(256) * 2**14):
        sizes = model.frequencies(logits)
        assert sizes.min() >= 1
        assert (sizes.sum(-1) == 2**16).all()


def test_order_threads_batches_and_carriers_do_not_matter():
    model, x = integer_model(), pixels(integer_model(), n=40)
    wide = IntegerModel.from_state(model.state(), torch.float64)
    assert (model.carrier, wide.carrier) == (torch.float32, torch.float64)
    inputs, predicted = inputs_of(model, x)
    logits = model.logits(inputs, predicted)
    assert torch.equal(logits, logits.round())
    assert torch.equal(wide.logits(inputs.double(), predicted).float(), logits)
    single = [model.logits(inputs[i : i + 1], predicted[i : i + 1]) for i in range(20)]
    assert torch.equal(torch.cat(single), logits[:20])
    order = torch.randperm(inputs.shape[1], generator=torch.Generator().manual_seed(0))
    first = model.layers[0]
    mixed = IntegerLinear(first.weight[:, order], first.bias, first.shift, first.lower, first.upper)
    assert torch.equal(mixed(inputs[:, order]), first(inputs))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # operands of eight bits are bfloat16 already
    try:
        assert torch.equal(model.logits(inputs, predicted), logits)
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_float_model_is_not_exact():
    """What the integer path is for: the same float network, another batch, other bits."""
    model = drawn_model((8, 8), n_neighbours=30, hidden=[64, 64])
    x = torch.as_tensor(images((8, 8), n=64)).float()
    places = torch.arange(64)
    with torch.no_grad():
        together = model._logits(x.flatten(1), places, None)
        wide = model.double()._logits(x.flatten(1).double(), places, None)
    assert not torch.equal(together.double(), wide)


@pytest.mark.parametrize(("bits", "most"), [(8, 0.003), (4, 1.0)])
def test_rounding_costs_little(bits, most):
    model = trained()
    x = images((6, 6), 16, n=100)
    float_bits = -float(model.log_prob(torch.as_tensor(x).float()).mean()) / np.log(2)
    frozen = freeze(model, torch.as_tensor(x), bits=bits)
    cost = information(frozen, x.reshape(100, -1)).mean() / float_bits - 1
    assert cost < most
    if bits == 4:
        assert cost > 0.003, "too few bits are seen in the rate"


def trained():
    """A model after some steps, as weights after a training are."""
    source = torch.Generator().manual_seed(0)
    known = {"n_neighbours": 12, "hidden": [24], "reach": 4}
    model = LocalContext((6, 6), levels=16, generator=source, **known)
    x = torch.as_tensor(images((6, 6), 16, n=100)).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        (-model.log_prob(x).mean()).backward()
        optimizer.step()
    return model.requires_grad_(False)


def test_a_model_tells_itself_from_others():
    model = integer_model()
    again = IntegerModel.from_state(model.state())
    assert again.sha256 == model.sha256
    for key in ("codes", "table"):
        state = model.state()
        state[key] = state[key].clone()
        state[key].view(-1)[1] -= 1
        assert IntegerModel.from_state(state).sha256 != model.sha256
    assert integer_model(seed=1).sha256 != model.sha256
    assert int(model.table[0]) == ONE


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("levels", 300, "levels"),
        ("neighbours", [11, 3], "layers"),
        ("codes", torch.zeros(2, 8, dtype=torch.int8), "codes"),
        ("table", torch.tensor([1, 2], dtype=torch.int32), "table"),
        ("event_shape", [5], "event_shape"),
        ("layers", [], "layers"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(key, value, reason):
    with pytest.raises(ValueError, match=reason):
        IntegerModel.from_state(integer_model().state() | {key: value})


def test_bad_layers_and_bits_are_refused():
    with pytest.raises(ValueError, match="shift"):
        layer([[1]], shift=30)
    with pytest.raises(ValueError, match="lower"):
        layer([[1]], lower=3, upper=3)
    with pytest.raises(ValueError, match="weight must be"):
        IntegerLinear(torch.ones(1, 1), torch.ones(1), torch.ones(1), 0, 1)
    with pytest.raises(ValueError, match="bits"):
        freeze(drawn_model(), torch.zeros(1, 5, 6), bits=9)
    with pytest.raises(ValueError, match="images"):
        freeze(drawn_model(), torch.zeros(0, 5, 6))
