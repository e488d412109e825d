"""The experiment on Flow-GAN at a tiny size."""

from anabranch.experiments import Run, flow_gan


def test_a_small_run(monkeypatch):
    for name, value in (("STEPS", 4), ("ROWS", 400), ("HELD_OUT", 100), ("LAYERS", 2)):
        monkeypatch.setattr(flow_gan, name, value)
    outcome = flow_gan.flow_gan(Run(seeds=(100,)))
    figures = {f.name: f for f in outcome.figures}
    assert figures["hybrid: NLL above MLE, nats"].target == 0.05
    assert figures["critic alone: NLL above MLE, nats"].target == 1.0
    assert outcome.table.count("\n") == 3
