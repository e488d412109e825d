"""The animation of a training."""

import copy
import io

import numpy as np
import pytest
import torch
from PIL import Image

from anabranch.estimators import FlowMixture
from anabranch.reports import build_report, palette, render_animation, save_animation
from anabranch.reports.replay import replay

FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [4]}


@pytest.fixture(scope="module")
def trained(fitted):
    """A function that gives a mixture with snapshots, its data and the rows it was scored on."""
    made = {}

    def make(n_columns):
        if n_columns not in made:
            X = fitted(n_columns)[1]
            V = X[::4] + 0.1
            mixture = FlowMixture(
                3,
                flow=FLOW if n_columns > 1 else "maf",
                inference="variational",
                init_params="kmeans",
                max_epochs=12,
                fit_options={"snapshots": 6, "min_evaluation_steps": 5},
                random_state=0,
            )
            made[n_columns] = mixture.fit(X, X_val=V), X, V
        return made[n_columns]

    return make


def frames_of(content):
    with Image.open(io.BytesIO(content)) as image:
        durations, frames = [], []
        for i in range(image.n_frames):
            image.seek(i)
            durations.append(image.info["duration"])
            frames.append(np.asarray(image.convert("RGB")).astype(int))
        return frames, durations


def test_the_past_mixtures_are_those_that_the_history_scored(trained):
    mixture, _, V = trained(2)
    scores = {entry["step"]: entry["validation_nll"] for entry in mixture.history_}
    before = {name: tensor.clone() for name, tensor in mixture.model_.state_dict().items()}
    steps = []
    for step, past in replay(mixture):
        assert -past.score(V) == pytest.approx(scores[step], abs=1e-5)
        steps.append(step)
    assert len(steps) == len(set(steps)) == len(mixture.snapshots_) >= 4
    after = mixture.model_.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("n_columns", [1, 2, 4])
def test_one_frame_for_each_snapshot_and_one_for_the_fitted_mixture(trained, n_columns):
    mixture, X, _ = trained(n_columns)
    content = render_animation(mixture, X, max_points=100)
    frames, durations = frames_of(content)
    assert len(frames) == len(mixture.snapshots_) + 1
    assert durations[-1] > 10 * durations[0]
    assert len({frame.tobytes() for frame in frames}) == len(frames)
    assert len({frame.shape for frame in frames}) == 1
    assert len(content) < 50_000 * len(frames)
    assert content == render_animation(mixture, X, max_points=100)


def test_components_keep_their_colours(trained):
    mixture, X, _ = trained(2)
    frames, _ = frames_of(render_animation(mixture, X, max_points=200))
    for c in range(3):
        near = [(np.abs(frame - palette.rgb(c)).max(axis=-1) < 24).sum() for frame in frames]
        assert min(near) > 100


def test_each_frame_shows_the_state_of_its_step(trained):
    fitted, X, _ = trained(2)
    mixture = copy.copy(fitted)
    last = mixture.model_.state_dict()
    noise = torch.Generator().manual_seed(0)
    moved = {k: v + 0.4 * torch.randn(v.shape, generator=noise) for k, v in last.items() if v.ndim}
    mixture.snapshots_ = [(0, {**last, **moved}), (1, last)]
    frames, _ = frames_of(render_animation(mixture, X, max_points=200))
    below = [frame[len(frame) // 5 :] for frame in frames]  # the titles are above
    for half in (slice(None, 310), slice(330, None)):
        first, second, third = (frame[:, half] for frame in below)
        assert (np.abs(first - third).max(axis=-1) > 60).mean() > 0.02
        assert (second == third).all()


def test_the_file_is_what_was_rendered(trained, tmp_path):
    mixture, X, _ = trained(2)
    save_animation(mixture, X, tmp_path / "a.gif", max_points=50)
    assert (tmp_path / "a.gif").read_bytes() == render_animation(mixture, X, max_points=50)
    assert [p.name for p in tmp_path.iterdir()] == ["a.gif"]


def test_the_page_shows_it(trained):
    mixture, X, _ = trained(2)
    page = build_report(mixture, X, animation=b"GIF89a", max_points=50)
    assert '<img src="data:image/gif;base64,R0lGODlh" alt="Animation of the training">' in page
    assert "data:image/gif" not in build_report(mixture, X, max_points=50)


def test_without_snapshots(fitted, trained, tmp_path):
    _, X, _ = trained(2)
    with pytest.raises(ValueError, match=r"holds no snapshots .* fit --snapshots 60"):
        save_animation(fitted(2)[0], X, tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_bad_targets_and_data(trained, tmp_path):
    mixture, X, _ = trained(2)
    with pytest.raises(ValueError, match=r"path: got 'a.png'; expected .*\.gif"):
        save_animation(mixture, X, tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save_animation(mixture, X, tmp_path / "no" / "a.gif")
    with pytest.raises(ValueError, match=r"X: got shape \(240,\)"):
        save_animation(mixture, X[:, 0], tmp_path / "a.gif")
    with pytest.raises(ValueError, match="features"):
        save_animation(mixture, X[:, :1], tmp_path / "a.gif")
