"""Deep fits that are interrupted go on, stage by stage, and end with the same bits."""

import signal
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import torch

from anabranch import DeepClustering, DeepMixture, FlowMixture
from anabranch.objectives import Loss
from anabranch.procedures.clustering_methods import METHODS
from anabranch.procedures.stages import Stages, stage_files
from anabranch.training import FitOptions
from anabranch.training.run import Run

X = np.random.RandomState(0).randn(110, 6) + 3.0 * (np.arange(110) % 3)[:, None]
LABELS = np.where(np.arange(110) < 20, np.arange(110) % 3, -1)


def mixture(**changes):
    settings = {"latent": 2, "hidden": (8,), "max_epochs": 3, "batch_size": 40}
    settings |= {"start": {"name": "autoencoder", "epochs": 1}}
    return DeepMixture(3, **{**settings, "random_state": 0, **changes})


def clustering(method, **changes):
    settings = {"latent": 2, "hidden": (8,), "max_epochs": 4, "batch_size": 40, "random_state": 0}
    known = {field.name for field in fields(METHODS[method].options)}
    options = {"n_init": 2, "refresh": 3, "tol": 0.0}
    settings["method_options"] = {name: v for name, v in options.items() if name in known}
    if METHODS[method].coder is not None:
        settings["pretrain"] = {"epochs": 2, "corruption": 0.1}
    return DeepClustering(3, method=method, **{**settings, **changes})


CASES = {
    "mixture": partial(mixture, n_init=2),
    "bfloat16": partial(mixture, schedule={"half_precision": True}, max_epochs=10),
    "invariant": partial(
        mixture,
        start={"name": "invariant", "epochs": 1},
        consistency={"steps": 4},
        n_init=2,
    ),
    "random": partial(mixture, start="random", objective="gumbel"),
    "levels": partial(mixture, levels=8),
    **{m: partial(clustering, m) for m in ("ae+gmm", "dec", "idec", "vade", "gmvae", "mixae")},
    **{m: partial(clustering, m) for m in ("ltvae-gmm", "ltvae")},
    # its start would merge the codes of an autoencoder of two epochs into one cluster
    "svae": partial(clustering, "svae", start=np.arange(len(X)) % 3),
}
# of each, steps in different stages: the first of one, the last of one, and between
STAGES = {
    "mixture": (1, 5, 14),
    "bfloat16": (6, 46),
    "invariant": (2, 6, 9, 15),
    "random": (3, 4),
    "levels": (3, 14),
    "ae+gmm": (3,),
    "dec": (4, 11),
    "idec": (6, 8),
    "vade": (2, 8),
    "gmvae": (7,),
    "svae": (9,),
    "mixae": (3, 20, 72),
    "ltvae-gmm": (6, 9),
    "ltvae": (9,),
}


@pytest.fixture
def interrupt(monkeypatch):
    """Ctrl-C at a step of the fit loop, counted over all stages."""
    step, taken = Run._step, []

    def at(number):
        def counting(self):
            taken.append(self)
            if len(taken) == number:
                signal.raise_signal(signal.SIGINT)
            return step(self)

        monkeypatch.setattr(Run, "_step", counting)
        return taken

    return at


def outcome(model):
    """All that a fit has found, to the bit."""
    results = getattr(model, "fit_results_", None) or {"bound": model.fit_result_}
    told = {name: (result.history, result.stopped) for name, result in results.items()}
    state = {name: tensor.tolist() for name, tensor in model.model_.state_dict().items()}
    return str((told, state, model.predict_proba(data(model)).tolist()))


def data(model):
    return np.abs(X).round() % 8 if model.levels else X


@pytest.fixture(scope="module")
def whole():
    """Fits that nothing interrupts, without checkpoints."""
    done = {}

    def fit(case):
        if case not in done:
            model = CASES[case]()
            done[case] = outcome(model.fit(data(model)))
        return done[case]

    return fit


@pytest.mark.parametrize(
    ("case", "step"), [(case, step) for case, steps in STAGES.items() for step in steps]
)
def test_an_interrupted_fit_ends_with_the_same_bits(tmp_path, interrupt, whole, case, step):
    expected = whole(case)
    model = CASES[case](fit_options={"checkpoint": tmp_path / "run"})
    taken = interrupt(step)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data(model))
    assert len(taken) == step
    assert stage_files(tmp_path / "run") == sorted(tmp_path.iterdir())
    model = CASES[case](fit_options={"checkpoint": tmp_path / "run"})
    assert outcome(model.fit(data(model), resume=True)) == expected
    assert list(tmp_path.iterdir()) == []


def test_finished_stages_are_passed_by(tmp_path, interrupt):
    model = CASES["mixture"](fit_options={"checkpoint": tmp_path / "run"})
    taken = interrupt(0)
    model.fit_keeping_checkpoint(X)
    names = [f"run.{name}-{i}" for name in ("autoencoder", "bound", "classifier") for i in (0, 1)]
    assert [path.name for path in stage_files(tmp_path / "run")] == names
    steps, found = len(taken), outcome(model)
    assert outcome(model.fit(X, resume=True)) == found
    assert len(taken) == steps
    assert list(tmp_path.iterdir()) == []


def test_labels_are_resumed_too(tmp_path, interrupt):
    settings = {"fit_options": {"checkpoint": str(tmp_path / "run")}}
    expected = outcome(mixture().fit(X, LABELS))
    interrupt(6)
    with pytest.raises(KeyboardInterrupt):
        mixture(**settings).fit(X, LABELS)
    # the autoencoder sees none
    with pytest.raises(ValueError, match=r"run.classifier-0 is .*: data was "):
        mixture(**settings).fit(X, np.where(LABELS < 0, -1, 2 - LABELS), resume=True)
    assert outcome(mixture(**settings).fit(X, LABELS, resume=True)) == expected


@pytest.fixture
def unfinished(tmp_path, interrupt):
    """The path of the checkpoint of a "vade" that was interrupted, and the settings."""
    settings = {"method": "vade", "fit_options": {"checkpoint": tmp_path / "run"}}
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        clustering(**settings).fit(X)
    return settings


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"random_state": 1}, "seed was 953246512, now 710190855"),
        ({"latent": 3}, "latent was 2, now 3"),
        ({"max_epochs": 5}, "max_epochs was 4, now 5"),
        ({"method": "idec"}, "method was 'vade', now 'idec'"),
        ({"learning_rate": 0.01}, "options.learning_rate was 0.001, now 0.01"),
    ],
)
def test_other_settings_are_refused_by_name(unfinished, tmp_path, changes, named):
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=f"run.autoencoder-0 is .* another run: .*{named}"):
        clustering(**{**unfinished, **changes}).fit(X, resume=True)
    with pytest.raises(ValueError, match="another run: data was"):
        clustering(**unfinished).fit(X[::-1], resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_estimator_is_refused(unfinished, tmp_path):
    with pytest.raises(ValueError, match="estimator was 'DeepClustering', now 'DeepMixture'"):
        mixture(fit_options=unfinished["fit_options"]).fit(X, resume=True)
    # whose checkpoint is the path itself
    FlowMixture(2, max_epochs=1, fit_options=unfinished["fit_options"]).fit(X)
    assert (tmp_path / "run").exists()
    assert outcome(clustering(**unfinished).fit(X, resume=True))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_fit_that_is_not_resumed_begins_anew(unfinished, tmp_path, whole):
    assert outcome(clustering(**unfinished).fit(X)) == whole("vade")
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkpoint_it_begins_anew(tmp_path, whole):
    assert outcome(clustering("vade").fit(X, resume=True)) == whole("vade")
    options = {"checkpoint": tmp_path / "run"}
    assert outcome(clustering("vade", fit_options=options).fit(X, resume=True)) == whole("vade")


def test_a_game_has_no_checkpoint(tmp_path):
    options = {"checkpoint": tmp_path / "run"}
    model = clustering("gmgan", max_epochs=1, fit_options=options).fit(X, resume=True)
    assert model.n_iter_ == 1
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_fails_leaves_nothing(tmp_path):
    model = clustering("idec", fit_options={"checkpoint": tmp_path / "run"})
    # two distinct codes for three clusters
    twice = np.repeat(X[:2], 30, axis=0)
    with pytest.raises(ValueError, match="only 2 distinct codes"):
        model.fit(twice)
    assert list(tmp_path.iterdir()) == []


def test_keywords_of_the_recipe_are_checked_before_the_training(interrupt):
    taken = interrupt(0)
    for method in ("idec", "vade"):
        with pytest.raises(TypeError, match="speed"):
            clustering(method, model_options={"speed": 1}).fit(X)
    assert not taken


class Square(torch.nn.Module):
    """Something to train."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, batch):
        return Loss(self.linear(batch["x"]).square().mean(), {})


def test_another_start_is_another_run(tmp_path):
    options = FitOptions(max_epochs=1, batch_size=4)
    model, other = Square(), Square()
    for start, resume in ((model, False), (other, True)):
        loop = Stages(tmp_path / "run", resume=resume).loop("bound")
        train = partial(loop, start, {"x": torch.ones(8, 2)}, options=options)
        if not resume:
            assert train(generator=torch.Generator().manual_seed(0)).steps == 2
            continue
        with pytest.raises(ValueError, match="another run: start was"):
            train(generator=torch.Generator().manual_seed(0))
