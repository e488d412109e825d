"""Mixtures of coders: the component is sent first, and every image comes back."""

import io
import json
import struct
import zlib
from itertools import product

import numpy as np
import pytest
import torch

from anabranch import Coder
from anabranch.coding import (
    CompressedFileError,
    Container,
    IntegerModel,
    component_information,
    decode_array,
    encode_array,
    file_components,
    freeze,
    information,
)
from anabranch.coding.freeze import frequencies_of
from anabranch.coding.pixels import choose
from anabranch.distributions import ComponentEmbeddings, DiagonalNormal, LocalContext, Mixture
from anabranch.distributions.local_components import LocalComponents
from anabranch.metrics import clustering_accuracy
from tests.coding.models import drawn_model, images, pixels

SHAPE, K = (5, 6), 3


def drawn_mixture(shape=SHAPE, levels=256, **settings):
    source = torch.Generator().manual_seed(1)
    network = drawn_model(shape, levels, context_features=4, **settings)
    parts = ComponentEmbeddings(network, K, generator=source)
    return Mixture(parts, torch.tensor([0.5, 0.3, 0.2]))


@pytest.fixture(scope="module")
def model():
    return freeze(drawn_mixture(), torch.as_tensor(images(SHAPE)))


def test_the_probabilities_of_all_images_sum_to_one_in_each_component():
    mixture = drawn_mixture((2, 2), levels=3, n_neighbours=4).double()
    x = torch.tensor(list(product(range(3), repeat=4))).double().view(-1, 2, 2)
    torch.testing.assert_close(
        mixture.component_log_prob(x).exp().sum(1).detach(), torch.ones(K).double()
    )
    assert float(mixture.log_prob(x).exp().sum().detach()) == pytest.approx(1, abs=1e-9)


def test_images_of_a_mixture_come_back(model):
    x = images(SHAPE, n=40)
    content = encode_array(x, model)
    assert np.array_equal(decode_array(content, model), x)
    again = IntegerModel.from_state(model.state(), torch.float64)
    assert again.sha256 == model.sha256
    assert np.array_equal(decode_array(content, again), x)


def test_components_are_told_without_the_model(model, tmp_path):
    x = pixels(model, n=300)
    path = tmp_path / "x.anb"
    path.write_bytes(encode_array(x.reshape(-1, *SHAPE), model))
    assert np.array_equal(file_components(path), choose(model, x))
    assert len(np.unique(file_components(path))) == K


def test_the_file_is_as_long_as_the_pixels_and_the_index(model):
    x = pixels(model, n=600)
    bits = component_information(model, x)
    chosen = choose(model, x)
    assert np.array_equal(information(model, x), bits[chosen, np.arange(600)])
    assert np.array_equal(chosen, bits.argmin(0))  # of so few places all are looked at
    content = encode_array(x.reshape(-1, *SHAPE), model)
    header = Container(io.BytesIO(content)).blocks[0].offset - 19
    overhead = 8 * (len(content) - header) - bits.min(0).sum()
    assert 0 < overhead < 40 * (600 // 16) + 8 * 19 + 0.002 * bits.min(0).sum()
    back = -np.logaddexp2.reduce(-bits, axis=0)
    assert (bits.min(0) - back >= -1e-9).all()
    assert (bits.min(0) - back <= np.log2(K)).all()


def test_rounding_keeps_the_components_apart(model):
    mixture, x = drawn_mixture(), images(SHAPE, n=30)
    with torch.no_grad():
        joint = mixture.joint_log_prob(torch.as_tensor(x).float()).double().numpy() / np.log(2)
    bits = component_information(model, x.reshape(30, -1))
    assert abs(bits + joint).max() < 0.01 * bits.mean()


def test_every_component_can_be_sent():
    weights = frequencies_of(torch.tensor([1.0, 0.0, 1e-9]))
    assert weights.tolist() == [65534, 1, 1]


@pytest.mark.parametrize(
    ("embeddings", "weights"),
    [
        (torch.zeros(3, 4, dtype=torch.int8), [65536, 1, -1]),
        (torch.zeros(3, 4, dtype=torch.int8), [65536, 0, 0]),
        (torch.zeros(3, 4, dtype=torch.int8), [2**31 - 1, 2**31 - 1, 2]),
        (torch.zeros(2, 4, dtype=torch.int8), [65534, 1, 1]),
        (torch.zeros(3, 5, dtype=torch.int8), [65534, 1, 1]),
        (torch.zeros(3, 4), [65534, 1, 1]),
        (torch.zeros(0, 4, dtype=torch.int8), []),
    ],
)
def test_forged_components_are_refused(model, embeddings, weights):
    state = model.state()
    state["components"] = {
        "embeddings": embeddings,
        "weights": torch.tensor(weights, dtype=torch.int32),
    }
    with pytest.raises(ValueError, match=r"components|layers"):
        IntegerModel.from_state(state)


def test_another_weight_is_another_model(model):
    state = model.state()
    weights = state["components"]["weights"].clone()
    weights[0] += 1
    weights[1] -= 1
    other = IntegerModel.from_state(
        state | {"components": {**state["components"], "weights": weights}}
    )
    with pytest.raises(CompressedFileError, match="with the model"):
        decode_array(encode_array(images(SHAPE), model), other)


def test_a_file_without_components_says_so(tmp_path):
    plain = freeze(drawn_model(SHAPE), torch.as_tensor(images(SHAPE)))
    path = tmp_path / "x.anb"
    path.write_bytes(encode_array(images(SHAPE), plain))
    with pytest.raises(CompressedFileError, match="no mixture"):
        file_components(path)


def test_forged_weights_in_a_header_are_refused(model, tmp_path):
    content = encode_array(images(SHAPE, n=20), model)
    (length,) = struct.unpack("<I", content[10:14])
    head = json.loads(content[14 : 14 + length])
    path = tmp_path / "x.anb"
    for weights in ([1, 2], ["a"], [65536, 0], [2**40, 1], [], "all", [[1]]):
        head["restore"]["components"] = weights
        text = json.dumps(head).encode()
        start = content[:10] + struct.pack("<I", len(text)) + text
        sealed = start + struct.pack("<I", zlib.crc32(start))
        path.write_bytes(sealed + content[14 + length + 4 :])
        with pytest.raises(CompressedFileError):
            file_components(path)


def test_mixtures_of_something_else_are_refused():
    with pytest.raises(ValueError, match="embeddings"):
        LocalComponents.of(Mixture(DiagonalNormal(2, batch_shape=(3,))))
    with pytest.raises(ValueError, match="context"):
        ComponentEmbeddings(LocalContext((2, 2), levels=2, hidden=[4]), 2)


@pytest.fixture(scope="module")
def templates():
    """Two templates of 16 bits, one in twenty of which is flipped: the entropy is known."""
    source = np.random.default_rng(0)
    kind = source.integers(0, 2, 700)
    given = source.integers(0, 2, (2, 16))[kind]
    return (given ^ (source.random(given.shape) < 0.05)).astype(np.uint8), kind


def test_clusters_of_images_are_found_and_pay(templates):
    X, kind = templates
    settings = {"levels": 2, "n_neighbours": 4, "hidden": (16,), "max_epochs": 25}
    coder = Coder((4, 4), n_components=2, random_state=0, **settings).fit(X[:500])
    test = X[500:]
    joint = coder.component_log_prob(test)
    assert clustering_accuracy(kind[500:], joint.argmax(1)) > 0.98
    p = 0.05
    entropy = 1 - 16 * (p * np.log2(p) + (1 - p) * np.log2(1 - p))
    # a network of some hundred numbers, from 475 images
    assert information(coder.integer_, test).mean() < 1.12 * entropy
    assert np.array_equal(coder.decompress(coder.compress(test)), test)
    assert joint == pytest.approx(-np.log(2) * component_information(coder.integer_, test).T)
    assert coder.score_samples(test) == pytest.approx(np.log(np.exp(joint).sum(1)))


def test_more_components_than_images_are_refused(templates):
    with pytest.raises(ValueError, match="n_components=50"):
        Coder((4, 4), levels=2, n_components=50).fit(templates[0][:20])
    with pytest.raises(ValueError, match="n_components"):
        Coder((4, 4), levels=2, n_components=0).fit(templates[0][:20])
