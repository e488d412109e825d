"""Devices that are there, and a sentence for those that are not."""

import inspect

import pytest
import torch

from anabranch import FlowDensity, estimators
from anabranch.estimators.estimator import Estimator
from anabranch.training.devices import usable_device

KINDS = [
    kind
    for kind in vars(estimators).values()
    if inspect.isclass(kind)
    and issubclass(kind, Estimator)
    and "device" in inspect.signature(kind).parameters
]


def test_auto_is_what_there_is(monkeypatch):
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert usable_device("auto") == expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert usable_device("auto") == "cuda"


def test_a_fit_on_auto_is_one_on_what_there_is():
    X = [[0.0], [1.0], [3.0]]
    auto, cpu = (
        FlowDensity(flow=None, max_epochs=1, device=device, random_state=0).fit(X)
        for device in ("auto", usable_device("auto"))
    )
    assert auto.score(X) == cpu.score(X)
    assert auto.get_params()["device"] == "auto"


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", None, 0, True])
def test_what_is_not_there_is_refused(device):
    with pytest.raises(ValueError, match=r"device must be one .* here, cpu.*, or 'auto', got"):
        usable_device(device)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("device", ["cuda:99", "mps"])
def test_every_estimator_says_so_at_once(kind, device):
    settings = {"n_components": 2} if "n_components" in inspect.signature(kind).parameters else {}
    data = [[float(i % 7), float(i % 3)] for i in range(40)]
    given = {"context": data} if kind is estimators.NeuralPosterior else {}
    with pytest.raises(ValueError, match="device") as found:
        kind(**settings, device=device).fit(data, **given)
    assert len(str(found.value).splitlines()) == 1
