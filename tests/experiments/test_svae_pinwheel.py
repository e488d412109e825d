"""The experiment on SVAE, with fits of a few epochs."""

from anabranch.experiments import Run, svae_pinwheel


def test_it_runs_in_small(monkeypatch):
    monkeypatch.setattr(svae_pinwheel, "N", 300)
    monkeypatch.setattr(svae_pinwheel, "K", 6)
    monkeypatch.setitem(svae_pinwheel.NETWORK, "hidden", (16,))
    monkeypatch.setitem(svae_pinwheel.FIT, "pretrain", {"epochs": 30})
    monkeypatch.setitem(svae_pinwheel.FIT, "max_epochs", 4)
    outcome = svae_pinwheel.svae_pinwheel(Run(seeds=(100,)))
    found = {figure.name: figure.value for figure in outcome.figures}
    assert 1 <= found["fewest components that count"] <= 6
    assert 0.2 < found["mean ACC"] <= 1
