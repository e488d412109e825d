"""Files of version 0.1.0 are loaded, and score as the models that were saved."""

import shutil
from pathlib import Path

import pytest

import anabranch
from tests.exactness import files, today
from tests.exactness.cases import CASES, recorded, same_kernels, steady
from tests.exactness.measures import differences, repeatable

# Nothing is trained: other kernels round the scores alone.
LOADED = 1e-4


@pytest.fixture(scope="module")
def then():
    return recorded()


def test_each_estimator_has_a_file_and_each_file_is_loaded(then):
    written = {files.path_of(name) for name in files.MODELS}
    written |= {files.checkpoint_of(name) for name in files.CHECKPOINTS}
    assert written == set(files.FOLDER.iterdir())
    estimators = {system for system in then["systems"] if system[0].isupper()}
    assert estimators <= {CASES[name].system for name in files.MODELS}


@pytest.mark.parametrize("name", files.MODELS)
def test_a_model_scores_as_before(then, name):
    with repeatable():
        found = files.scores_of(name, anabranch.load(files.path_of(name)))
    # a fit may have been recorded again, the file is what it was
    recorded_then = then["files"].get(name, then["cases"][name])
    expected = {key: recorded_then[key] for key in found}
    if not same_kernels(then):
        expected, found = steady(expected), steady(found)
    tolerance = 1e-6 if same_kernels(then) else LOADED
    assert list(differences(expected, found, tolerance, name)) == []


@pytest.mark.parametrize("name", files.CHECKPOINTS)
def test_a_stopped_fit_goes_on_to_the_recorded_end_or_is_refused(then, name, tmp_path):
    if not same_kernels(then):
        pytest.skip("a checkpoint goes on where data and start are bit for bit what they were")
    path = Path(shutil.copy(files.checkpoint_of(name), tmp_path))
    if name not in today.RESUMED:
        with repeatable(), pytest.raises(ValueError, match="checkpoint") as refused:
            files.run(name, path, resume=True)
        assert "\n" not in str(refused.value)
        return
    case = files.CHECKPOINTS[name]
    with repeatable():
        found = files.scores_of(case, files.run(name, path, resume=True))
    expected = {key: then["cases"][case][key] for key in found}
    assert list(differences(expected, found, 1e-6, name)) == []
