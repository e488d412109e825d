"""Ctrl-C in the middle of a fit, and going on."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from anabranch import load
from anabranch.archive import read_archive
from anabranch.problems import Pinwheel

SETTINGS = (
    "-k", "5", "--max-epochs", "50", "--batch-size", "32", "--learning-rate", "0.003",
    "--set", "fit_options.patience=100", "--set", "init_params=kmeans", "--quiet",
)  # fmt: skip

# steps: 400 rows, a tenth of them held out, in batches of 32
EPOCH = 360 // 32


@pytest.fixture(scope="module")
def wings(tmp_path_factory):
    path = tmp_path_factory.mktemp("wings") / "t.npy"
    np.save(path, Pinwheel().sample_per_component(80, random_state=0)[0])
    return path


@pytest.fixture
def interrupted(wings, tmp_path):
    """The checkpoint of a fit that Ctrl-C has stopped, and what was said."""
    model = tmp_path / "m.safetensors"
    checkpoint = tmp_path / "m.safetensors.checkpoint"
    often = ("--set", 'fit_options={"checkpoint_steps": 20}')
    command = [sys.executable, "-c", "from anabranch.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "fit", wings, "-o", model, *SETTINGS, *often],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    return model, checkpoint, process.returncode, said


def test_an_interrupted_fit_goes_on_to_the_same_bits(succeed, fail, interrupted, wings, tmp_path):
    model, checkpoint, code, said = interrupted
    assert said == (
        f"interrupted: the state of the fit is in {checkpoint}; the same command with --resume "
        "goes on with it\n"
    )
    assert code == 130
    assert not model.exists()
    assert os.listdir(tmp_path) == [checkpoint.name]
    done = read_archive(checkpoint, "checkpoint")["result"]["steps"]
    assert 20 <= done < 50 * EPOCH

    common = ["fit", wings, *SETTINGS]
    sentence = fail(*common, "-o", model)
    assert "holds an unfinished fit: go on with it by --resume, or discard it by" in sentence
    succeed(*common, "-o", model, "--resume")
    assert os.listdir(tmp_path) == [model.name]
    succeed(*common, "-o", tmp_path / "whole")
    resumed, whole = load(model), load(tmp_path / "whole")
    assert resumed.fit_result_.best_epoch > done // EPOCH, "the best state came before"
    states = (m.model_.state_dict() for m in (resumed, whole))
    for (name, a), b in zip(next(states).items(), next(states).values(), strict=True):
        assert bool((a == b).all()), name
    assert np.array_equal(
        resumed.score_samples(np.load(wings)), whole.score_samples(np.load(wings))
    )
    assert str(resumed.history_) == str(whole.history_)


def test_nothing_to_resume(fail, files, tmp_path):
    sentence = fail("fit", files / "t.npy", "-o", tmp_path / "m", "--resume")
    assert sentence == f"error: there is no checkpoint {tmp_path}/m.checkpoint to resume from"


@pytest.fixture
def unfinished(cli, files, tmp_path, monkeypatch):
    """The command whose fit was stopped when the model was to be written."""
    from anabranch.cli import fitting

    command = ["fit", files / "t.npy", "-o", tmp_path / "m", "-k", 3, "--max-epochs", 1]
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "save", lambda *_: signal.raise_signal(signal.SIGINT))
        result = cli(*command)
    assert result.exit_code == 130
    assert f"the state of the fit is in {tmp_path}/m.checkpoint" in result.stderr
    return command


def test_an_unfinished_fit_can_be_discarded(cli, unfinished, tmp_path):
    result = cli(*unfinished, "--no-resume")
    assert result.exit_code == 0
    assert result.stderr == f"note: the unfinished fit in {tmp_path}/m.checkpoint is discarded\n"
    assert os.listdir(tmp_path) == ["m"]


def test_another_fit_does_not_resume(fail, files, unfinished, tmp_path):
    sentence = fail(*unfinished, "--resume", "--flow-option", "n_layers=2")
    assert "is the checkpoint of another run" in sentence
    assert (tmp_path / "m.checkpoint").exists()


@pytest.mark.parametrize("resume", [[], ["--resume"], ["--no-resume"]])
def test_a_damaged_checkpoint_stays(fail, unfinished, tmp_path, resume):
    checkpoint = tmp_path / "m.checkpoint"
    content = checkpoint.read_bytes()[:-50]
    checkpoint.write_bytes(content)
    assert "damaged" in fail(*unfinished, *resume)
    assert checkpoint.read_bytes() == content


def test_a_file_of_the_user_is_no_checkpoint(fail, files, tmp_path):
    (tmp_path / "diary").write_text("dear diary")
    sentence = fail(
        "fit",
        files / "t.npy",
        "-o",
        tmp_path / "m",
        "--no-resume",
        "--checkpoint",
        tmp_path / "diary",
    )
    assert "choose another --checkpoint" in sentence
    assert (tmp_path / "diary").read_text() == "dear diary"
