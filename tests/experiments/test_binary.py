"""The experiment on tables of bits in small."""

import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anabranch.experiments import Run, binary
from anabranch.models import made, nade

DEBD = Path(__file__).parents[3] / "shared" / "data"


def chain(n, seed):
    """Bits of which each is a noisy copy of the one before it, in a shuffled order."""
    random = np.random.RandomState(seed)
    columns = [random.rand(n) < 0.3]
    for noise in (0.1, 0.2, 0.3):
        columns.append(columns[-1] ^ (random.rand(n) < noise))
    return np.stack(columns, 1)[:, [2, 0, 3, 1]].astype(float)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "binary-debd").mkdir()
    for seed, (part, n) in enumerate({"train": 600, "valid": 100, "test": 400}.items()):
        path = tmp_path / "binary-debd" / f"mushrooms.{part}.data.xz"
        with lzma.open(path, "wt") as file:
            np.savetxt(file, chain(n, seed), fmt="%d", delimiter=",")
    return tmp_path


def test_it_runs_and_compares(folder, monkeypatch):
    monkeypatch.setattr(binary, "DATASETS", ("mushrooms",))
    monkeypatch.setattr(binary, "SMALL", replace(binary.SMALL, max_epochs=40))
    outcome = binary.binary_density(Run(seeds=(0,), data=folder))
    figures = {figure.name: figure for figure in outcome.figures}
    truth = entropy()
    for name in ("NADE", "MADE"):
        assert -figures[f"mushrooms, {name}, nats"].value == pytest.approx(truth, abs=0.15)
    averaged = figures["mushrooms, MADE, averaged orderings, nats"]
    assert averaged.target == pytest.approx(-9.68)  # as published
    assert -averaged.value == pytest.approx(truth, abs=0.25)
    assert len(outcome.table.splitlines()) == 2


def test_digits_in_black_and_white(monkeypatch):
    monkeypatch.setattr(binary, "SMALL", replace(binary.SMALL, max_epochs=1))
    outcome = binary.binary_digits(Run(seeds=(100,)))
    assert all(np.isfinite(figure.value) for figure in outcome.figures)
    assert [figure.target for figure in outcome.figures] == [8.0] * 3 + [None] * 2
    row = binary.digit_scores(100)
    assert (row.columns, row.rows) == (64, 1080)


def entropy():
    def of(p):
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    return sum(of(p) for p in (0.3, 0.1, 0.2, 0.3))


def test_the_tree_is_found_and_its_probabilities_sum_to_one():
    states = np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T
    split = {"train": chain(20_000, 0), "test": chain(20_000, 1)}
    assert -binary.chow_liu(split) == pytest.approx(entropy(), abs=0.02)
    assert -binary.factorized(split) > entropy() + 0.3
    for score in (binary.chow_liu, binary.factorized):
        each = [score({"train": split["train"][:50], "test": state[None]}) for state in states]
        assert np.exp(each).sum() == pytest.approx(1)


@pytest.mark.parametrize("make", [nade, made, lambda d: made(d, n_orderings=2)])
def test_models_start_as_independent_bits(make):
    X = chain(500, 3)
    model = make(4).eval()
    binary.set_marginals(model, torch.as_tensor(X, dtype=torch.float32))
    expected = binary.factorized({"train": X, "test": X})
    log_prob = model.log_prob(torch.as_tensor(X, dtype=torch.float32)).mean()
    assert log_prob.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.skipif(not (DEBD / "binary-debd").is_dir(), reason="the data sets are not here")
def test_the_split_is_the_published_one():
    split = binary.read_debd(DEBD / "binary-debd", "nltcs")
    assert {name: X.shape for name, X in split.items()} == {
        "train": (16181, 16),
        "valid": (2157, 16),
        "test": (3236, 16),
    }
    # Rahman, Kothalkar, Gogate (2014) and others report -6.76 for the Chow-Liu tree
    assert binary.chow_liu(split) == pytest.approx(-6.76, abs=0.005)
