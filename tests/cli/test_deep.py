"""`fit --model deep-mixture` and `deep-clustering`, and what the other commands do with them."""

import re
import signal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from anabranch import DeepClustering, DeepMixture, load
from anabranch.cli.app import app
from anabranch.estimators import FlowMixture
from anabranch.metrics import clustering_accuracy
from anabranch.procedures.clustering_methods import METHODS
from anabranch.training.run import Run

SMALL = ("--set", "latent=2", "--set", "hidden=[8]", "--max-epochs", "2")
MIXTURE = ("--model", "deep-mixture", *SMALL, "--set", "start.epochs=2")
CLUSTERS = ("--model", "deep-clustering", *SMALL, "--set", "pretrain.epochs=2")


def lines(text):
    """What a listing says."""
    return dict(re.split(r"  +", line, maxsplit=1) for line in text.splitlines())


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """Three groups of rows of six columns with the names a to f, and kind."""
    labels = np.arange(60) % 3
    X = 3.0 * labels[:, None] + np.random.RandomState(0).randn(60, 6)
    frame = pd.DataFrame(X, columns=list("abcdef")).assign(kind=labels)
    path = tmp_path_factory.mktemp("features") / "t.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def clusters(features, succeed):
    """A model file of deep clustering, and what fit said."""
    path = features.with_name("clusters")
    return path, succeed("fit", features, *CLUSTERS, "--label-column", "kind", "-o", path)


@pytest.fixture(scope="module")
def mixture(features, succeed):
    path = features.with_name("mixture")
    options = ("--label-column", "kind", "--no-use-labels", "-k", 3)
    return path, succeed("fit", features, *MIXTURE, *options, "-o", path)


def test_deep_clustering_is_fitted(clusters, features, succeed):
    path, said = clusters
    model, frame = load(path), pd.read_csv(features)
    assert isinstance(model, DeepClustering)
    assert (model.n_components_, model.method, model.latent) == (3, "idec", 2)
    assert lines(succeed("info", path))["names"] == "a, b, c, d, e, f"
    told = lines(said)
    assert told["method"] == "idec"
    assert told["components"] == "3"
    assert told["autoencoder"] == "2 epochs, stopped by max_epochs"
    assert told["clusters"].startswith("2 epochs, stopped by ")
    assert told["labels"] == "60 known, not used"
    reached = clustering_accuracy(frame["kind"], model.predict(frame[list("abcdef")]))
    assert told["ACC"] == f"{reached:.4f}"
    assert "start ACC" in said
    assert sum(map(int, told["sizes"].split())) == 60
    assert not list(features.parent.glob("*.checkpoint*"))


def test_a_deep_mixture_is_fitted(mixture, features):
    path, said = mixture
    model = load(path)
    assert isinstance(model, DeepMixture)
    told = lines(said)
    assert (told["components"], told["start"]) == ("3", "autoencoder")
    assert told["held out"].startswith("bound, ")
    assert told["held out"].endswith(" nats per row")
    assert {"ACC", "NMI", "ARI", "start ACC"} < set(told)


def test_the_bound_is_in_the_units_of_the_data(features, succeed, tmp_path):
    frame = pd.read_csv(features)
    for scale in (1, 100):
        (scale * frame[list("abcdef")]).to_csv(tmp_path / f"{scale}.csv", index=False)
    found = []
    for scale in (1, 100):
        path = tmp_path / f"{scale}"
        said = succeed("fit", tmp_path / f"{scale}.csv", *MIXTURE, "-k", 3, "-o", path)
        found.append(float(lines(said)["held out"].split()[1]))
        assert float(lines(succeed("info", path))["score"]) == found[-1]
        model = load(path)
        scores = model.score_samples(pd.read_csv(tmp_path / f"{scale}.csv"))
        # estimates by a hundred draws come closer to the density
        assert 0 < scores.mean() - found[-1] < 6
    assert found[0] - found[1] == pytest.approx(6 * np.log(100), abs=0.05)


def test_labels_teach_a_deep_mixture(features, succeed, tmp_path):
    said = succeed("fit", features, *MIXTURE, "--label-column", "kind", "-o", tmp_path / "m")
    assert lines(said)["labels"] == "60 known, used"
    assert load(tmp_path / "m").n_components_ == 3


def test_images_tell_their_shape(images, succeed, tmp_path):
    path = tmp_path / "m"
    conv = ("--set", 'network={"name": "conv", "channels": [2], "hidden": [4]}')
    said = succeed(
        *("fit", *images, *MIXTURE, *conv, "--inference", "invariant", "--no-use-labels"),
        *("--set", "start.name=random", "-o", path),
    )
    model = load(path)
    assert model.network["image_shape"] == [3, 3]
    affine = {"name": "affine", "image_shape": [3, 3]}
    assert model.consistency == {"inference": "invariant", "perturbation": affine}
    assert (model.levels, model.n_components_) == (256, 3)
    assert "bits per dimension (256 levels)" in said
    said = succeed("fit", *images, *CLUSTERS, "--method", "ae+gmm", "-o", path)
    assert load(path).levels == 256
    assert lines(said)["method"] == "ae+gmm"


def test_settings_reach_into_groups_and_old_names_still_work(features, cli, succeed, tmp_path):
    common = ("fit", features, *MIXTURE, "-k", 3, "--columns", "a,b,c,d,e,f")
    nested = ("--set", "schedule.std_last=0.05", "--set", "consistency.weight=0.5")
    succeed(*common, *nested, "-o", tmp_path / "new")
    old = ("--set", "std_last=0.05", "--consistency", "0.5")
    result = cli(*common, *old, "-o", tmp_path / "old")
    assert result.exit_code == 0
    (warned,) = [line for line in result.stderr.splitlines() if line.startswith("warning: std")]
    assert "std_last=0.05 is now schedule={'std_last': 0.05}" in warned
    new, old = load(tmp_path / "new"), load(tmp_path / "old")
    assert new.settings() == old.settings()
    assert new.schedule == {"std_last": 0.05}
    assert new.consistency == {"weight": 0.5}
    X = pd.read_csv(features)[list("abcdef")]
    assert (new.predict_proba(X) == old.predict_proba(X)).all()


def test_predict(clusters, features, succeed, fail, tmp_path):
    path, out = clusters[0], tmp_path / "o.csv"
    said = succeed(
        "predict", path, features, "--label-column", "kind", "--probabilities", "-o", out
    )
    frame, X = pd.read_csv(out), pd.read_csv(features)[list("abcdef")]
    assert frame.columns.tolist() == ["row", "component", "p0", "p1", "p2"]
    assert (frame["component"] == load(path).predict(X)).all()
    assert frame[["p0", "p1", "p2"]].to_numpy() == pytest.approx(load(path).predict_proba(X))
    assert "ACC" in said
    sentence = fail("predict", path, features, "--method", "exact", "-o", out)
    assert "--method exact: a DeepClustering by 'idec' has one way" in sentence
    sentence = fail("predict", path, features, "--facets", "-o", out)
    assert "--facets: a DeepClustering by 'idec' finds one clustering only" in sentence


def test_facets(features, succeed, fail, mixture, tmp_path):
    path, out = tmp_path / "m", tmp_path / "o.csv"
    options = ("--columns", "a,b,c,d,e,f", "--method", "ltvae", "-k", 2)
    succeed("fit", features, *CLUSTERS, *options, "-o", path)
    succeed("predict", path, features, "--facets", "-o", out)
    frame, model = pd.read_csv(out), load(path)
    facets = model.predict_facets(pd.read_csv(features)[list("abcdef")])
    assert (frame.filter(like="facet").to_numpy() == facets).all()
    assert "a DeepMixture finds one" in fail("predict", mixture[0], features, "--facets", "-o", out)


def test_commands_on_a_deep_mixture(mixture, features, succeed, tmp_path):
    path, out = mixture[0], tmp_path / "o.csv"
    succeed("score", path, features, "-o", out)
    assert np.isfinite(pd.read_csv(out)["log_prob"]).all()
    succeed("sample", path, "-n", 7, "--component", 1, "--with-component", "-o", out)
    assert pd.read_csv(out).columns.tolist() == [*"abcdef", "component"]
    for method in ("exact", "network"):
        succeed("predict", path, features, "--method", method, "-o", out)
    told = lines(succeed("info", path))
    assert (told["recipe"], told["score_is"]) == ("nvisa", "validation bound")


def test_a_report_of_a_deep_mixture(mixture, features, succeed, tmp_path):
    succeed("report", mixture[0], features, "-o", tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size > 1000


def test_what_needs_a_density_is_refused(clusters, features, fail, tmp_path):
    path = clusters[0]
    for command in (("score", path, features), ("sample", path), ("report", path, features)):
        output = "o.html" if command[0] == "report" else "o.csv"
        sentence = fail(*command, "-o", tmp_path / output)
        assert sentence.startswith(f"error: {path} holds a DeepClustering by 'idec', which finds")
    assert list(tmp_path.iterdir()) == []


def test_info_of_deep_clustering(clusters, succeed):
    told = lines(succeed("info", clusters[0]))
    assert (told["method"], told["recipe"], told["components"]) == ("idec", "dec", "3")


# --- wrong use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((*CLUSTERS, "--use-labels"), "deep clustering has no --use-labels"),
        ((*CLUSTERS, "--flow", "maf"), "deep clustering has no --flow"),
        ((*CLUSTERS, "--inference", "exact"), "deep clustering has no --inference"),
        ((*MIXTURE, "--method", "dec"), "a deep mixture has no --method"),
        ((*MIXTURE, "--snapshots", "2"), "a deep mixture has no --snapshots"),
        ((*MIXTURE, "--context", "a"), "a deep mixture has no --context"),
        ((*MIXTURE, "--components", "auto"), "a deep mixture takes a number"),
        (("--method", "dec"), "a mixture has no --method"),
    ],
)
def test_options_that_do_not_belong(cli, features, tmp_path, options, said):
    result = cli("fit", features, "-o", tmp_path / "m", *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


BAD = {
    "no number": (CLUSTERS, (), "--components is needed"),
    "no number of a mixture": (MIXTURE, (), "--components is needed"),
    "method": (CLUSTERS, ("-k", 3, "--method", "kmeans"), "method must be one of"),
    "key": (CLUSTERS, ("-k", 3, "--set", "speed=1"), "DeepClustering has no parameter 'speed'"),
    "key of a mixture": (MIXTURE, ("-k", 3, "--set", "speed=1"), "DeepMixture has no parameter"),
    "rows": (CLUSTERS, ("-k", 61), "X has 60 rows, fewer than the 61 components"),
    "rows of a mixture": (MIXTURE, ("-k", 61), "X has 60 rows, fewer than the 61 components"),
    "one draw": (
        MIXTURE,
        ("-k", 3, "--set", "objective.samples=1"),
        "objective.samples must be an in",
    ),
    "pixels": (CLUSTERS, ("-k", 3, "--levels", 4), "levels=4 needs integers 0..3"),
    "pixels of a mixture": (MIXTURE, ("-k", 3, "--levels", 4), "levels=4 needs integers 0..3"),
    "image": (
        MIXTURE,
        ("-k", 3, "--set", 'network={"name": "conv", "image_shape": [2, 2]}'),
        "4 pixels, but a row has 6",
    ),
    "keyword of the recipe": (CLUSTERS, ("-k", 3, "--set", 'model_options={"speed": 1}'), "speed"),
    "resume": (CLUSTERS, ("-k", 3, "--resume"), "there is no checkpoint"),
    "inference": (MIXTURE, ("-k", 3, "--inference", "exact"), "inference must be one of"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_leaves_nothing(fail, features, tmp_path, case):
    kind, options, said = BAD[case]
    columns = ("--columns", "a,b,c,d,e,f")
    assert said in fail("fit", features, *columns, *kind, *options, "-o", tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [MIXTURE, CLUSTERS])
def test_bad_files_leave_nothing(fail, tmp_path, kind):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,\n5,6\n")
    sentence = fail("fit", tmp_path / "t.csv", *kind, "-k", 2, "-o", tmp_path / "m")
    assert "'b' (1 NaN)" in sentence
    missing = tmp_path / "no" / "m"
    assert str(missing.parent) in fail("fit", tmp_path / "t.csv", *kind, "-k", 2, "-o", missing)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


# --- interrupted --------------------------------------------------------------------------------


@pytest.fixture
def interrupted(cli, features, tmp_path, monkeypatch):
    """Run a fit that Ctrl-C stops at a step; gives the command and what was said."""

    def run(step, *options):
        command = ["fit", features, "-o", tmp_path / "m", "--columns", "a,b,c,d,e,f", *options]
        taken, whole = [], Run._step

        def counting(self):
            taken.append(self)
            if len(taken) == step:
                signal.raise_signal(signal.SIGINT)
            return whole(self)

        with monkeypatch.context() as patched:
            patched.setattr(Run, "_step", counting)
            result = cli(*command)
        assert result.exit_code == 130
        return command, result.stderr.splitlines()[-1]

    return run


@pytest.mark.parametrize(("kind", "step"), [(MIXTURE, 12), (CLUSTERS, 4)])
def test_an_interrupted_fit_goes_on(interrupted, succeed, fail, tmp_path, kind, step):
    command, said = interrupted(step, *kind, "-k", 3)
    files = sorted(str(path) for path in tmp_path.iterdir())
    assert len(files) > 1
    assert said == (
        f"interrupted: the state of the fit is in {', '.join(files)}; the same command with "
        "--resume goes on with it"
    )
    assert "holds an unfinished fit: go on with it by --resume" in fail(*command)
    succeed(*command, "--resume")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    succeed(*command[:3], tmp_path / "whole", *command[4:])
    ours, theirs = (load(tmp_path / name).model_.state_dict() for name in ("m", "whole"))
    assert all(bool((ours[name] == theirs[name]).all()) for name in ours)


def test_a_checkpoint_of_another_kind(interrupted, cli, fail, features, tmp_path, monkeypatch):
    command, _ = interrupted(4, *CLUSTERS, "-k", 3)
    flows = ("fit", features, "-o", tmp_path / "m", "-k", 3, "--max-epochs", 1)
    assert "is the checkpoint of another kind of --model" in fail(*flows, "--resume")
    other = ("fit", features, "-o", tmp_path / "m", "--columns", "a,b,c,d,e,f", *MIXTURE, "-k", 3)
    assert "is the checkpoint of another run" in fail(*other, "--resume")
    assert (tmp_path / "m.checkpoint.autoencoder-0").exists()
    monkeypatch.setattr(FlowMixture, "fit", lambda *_, **__: pytest.fail("nobody has said so"))
    assert "holds an unfinished fit" in fail(*flows)
    result = cli(*command, "--no-resume")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: the unfinished fit in ")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_cannot_be_saved_is_kept(fail, succeed, features, tmp_path, monkeypatch):
    from anabranch.cli import fitting

    command = ("fit", features, "-o", tmp_path / "m", *CLUSTERS, "-k", 3)
    with monkeypatch.context() as patched:
        full = OSError("no space left")
        patched.setattr(fitting, "save", lambda *_: (_ for _ in ()).throw(full))
        assert "the finished fit is kept in" in fail(*command)
    assert not (tmp_path / "m").exists()
    succeed(*command, "--resume")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_game_that_is_interrupted_keeps_nothing(cli, features, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "_step", lambda *_: signal.raise_signal(signal.SIGINT))
    result = cli("fit", features, *CLUSTERS, "--method", "gmgan", "-k", 3, "-o", tmp_path / "m")
    assert result.exit_code == 130
    said = "interrupted: no state of the fit was kept; nothing was written"
    assert result.stderr.splitlines()[-1] == said
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_method():
    fit: Any = vars(get_command(app))["commands"]["fit"]
    (option,) = [p for p in fit.params if p.name == "method"]
    named = option.help.replace(" or ", ", ").replace("Of deep-clustering: ", "").split(".")[0]
    assert set(named.split(", ")) == set(METHODS)
