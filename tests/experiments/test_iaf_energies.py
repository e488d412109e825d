"""The experiment with inverse autoregressive flows on energies, as short as it can be."""

from anabranch.experiments import Run, iaf_energies, planar_vi


def test_it_runs_and_asks_what_planar_flows_reach(monkeypatch):
    monkeypatch.setitem(iaf_energies.IAF, "hidden", [8])
    for name, value in {"STEPS": 20, "STARTS": 1, "FEW": 1, "MANY": 2, "RATE": 0.02}.items():
        monkeypatch.setattr(iaf_energies, name, value)
    for name, value in {"SAMPLES": 64, "DRAWS": 2000}.items():
        monkeypatch.setattr(planar_vi, name, value)
    outcome = iaf_energies.iaf_energies(Run(seeds=(100,)))
    figures = {f.name: f for f in outcome.figures}
    for name, limit in planar_vi.TARGETS.items():
        assert figures[f"KL to {name}, 2 layers, nats"].target == limit
        assert 0 < figures[f"KL to {name}, 2 layers, nats"].value < 5
    assert figures["KL to U1, 1 layers, nats"].target == 0.1
