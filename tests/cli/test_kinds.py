"""An estimator appears in the shell by one line of a table, and settings reach into groups."""

import pandas as pd
import pytest
import typer

from anabranch import FlowMixture, load
from anabranch.cli.images import for_images
from anabranch.cli.kinds import KINDS, Kind
from anabranch.cli.settings import merge_settings, place
from anabranch.estimators.files import ESTIMATORS

OTHERS = {
    "RAD": ("--max-epochs", 1, "--set", "n_folds=1", "--set", "n_between=1", "--set", "hidden=[8]"),
    "GaussianMixture": ("-k", 3),
}


def test_every_kind_is_an_estimator_with_files():
    assert all(kind.load() in ESTIMATORS.values() for kind in KINDS.values())


@pytest.mark.parametrize("name", OTHERS)
def test_one_line_is_enough(name, files, tmp_path, succeed, cli, monkeypatch):
    monkeypatch.setitem(KINDS, "new", Kind(name, "the new one"))
    path, out = tmp_path / "m", tmp_path / "o.csv"
    fit = ("fit", files / "t.csv", "--label-column", "kind", "--model", "new", *OTHERS[name])
    said = succeed(*fit, "--no-use-labels", "-o", path)
    assert "components" in said
    assert "ACC" in said
    assert list(tmp_path.iterdir()) == [path]
    assert type(load(path)) is ESTIMATORS[name]
    succeed("predict", path, files / "t.csv", "-o", out)
    assert len(pd.read_csv(out)) == 90
    assert f"estimator       {name}" in succeed("info", path)
    result = cli(*fit, "--resume", "-o", path)
    assert result.exit_code == 2
    assert "the new one has no --resume" in " ".join(result.stderr.split())


def test_an_unknown_kind_says_which_there_are(cli, files, tmp_path):
    result = cli("fit", files / "t.csv", "-o", tmp_path / "m", "--model", "forest")
    assert result.exit_code == 2
    assert "'forest' is not one of mixture, density" in " ".join(result.stderr.split())


def test_a_setting_is_given_once():
    merged = merge_settings({"consistency.weight": 1.0}, {"consistency.balance": 0.2})
    assert merged == {"consistency": {"weight": 1.0, "balance": 0.2}}
    merged = merge_settings({"fit_options.patience": 5}, {"fit_options": {"clip_norm": 1.0}})
    assert merged == {"fit_options": {"patience": 5, "clip_norm": 1.0}}
    for named, further in (
        ({"a.b": 1}, {"a.b": 2}),
        ({"a": 1}, {"a.b": 2}),
        ({"a.b": 1}, {"a": {"b": 2}}),
    ):
        with pytest.raises(typer.BadParameter, match="too"):
            merge_settings(named, further)


def test_an_option_is_found_alone_or_in_a_group():
    deep = KINDS["deep-mixture"].load()
    assert place(deep, "levels") == "levels"
    assert place(deep, "consistency") == "consistency.weight"
    assert place(deep, "inference") == "consistency.inference"
    assert place(deep, "support") is None


def test_parts_are_told_the_shape_of_images_wherever_they_are():
    settings = {
        "flow": ["conv_realnvp", "maf", None],
        "posterior": {"name": "conv", "channels": [2]},
        "weights": "learned",
    }
    told = for_images(FlowMixture, settings, (4, 4))
    assert told["flow"] == [{"name": "conv_realnvp", "image_shape": [4, 4]}, "maf", None]
    assert told["posterior"] == {"name": "conv", "channels": [2], "image_shape": [4, 4]}
    assert told["weights"] == "learned"
    given = {"posterior": {"name": "conv", "image_shape": [2, 8]}}
    assert for_images(FlowMixture, given, (4, 4)) == given
    assert for_images(FlowMixture, {"flow": "maf"}, (4, 4)) == {"flow": "maf"}
