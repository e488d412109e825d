"""Fits to rows that are not held: as good as those in memory, and the same from any files."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from anabranch import FlowDensity, FlowMixture, GaussianMixture, load
from anabranch.archive import fingerprint
from anabranch.cli import app
from anabranch.data import ParquetRows
from anabranch.data.parquet_rows import KnownLabels, RowParts
from anabranch.estimators.streamed import class_targets, teaching
from anabranch.problems import Moons
from anabranch.procedures.rows import Rows
from anabranch.training.row_stream import StreamedBatches

N = 1500
TINY = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
X, _ = Moons().sample(N, random_state=0)
TEST, _ = Moons().sample(2000, random_state=1)
FLOW = {"name": "realnvp", "n_layers": 2, "hidden": [8]}
KINDS = {
    "mixture": lambda **more: FlowMixture(2, flow=FLOW, random_state=0, **more),
    "density": lambda **more: FlowDensity(flow=FLOW, random_state=0, **more),
}


def write(folder, X, order=(0, 1, 2)):
    folder.mkdir(exist_ok=True)
    for place, part in zip(order, np.array_split(X, 3), strict=True):
        frame = pd.DataFrame(part, columns=["x", "y"])
        frame.to_parquet(folder / f"{place}.parquet", row_group_size=128)
    return folder


def bits(model):
    return fingerprint(dict(model.model_.state_dict()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # sorted: no part is like the whole
    return write(tmp_path_factory.mktemp("rows") / "a", X[np.argsort(X[:, 0])])


def rows(folder, **more):
    return ParquetRows(folder, **{"sample_rows": 400, "buffer_mb": 0.03, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_files_in_any_order_and_interrupted_runs_end_with_the_same_bits(
    kind, folder, tmp_path, monkeypatch
):
    make = KINDS[kind]
    first = make(max_epochs=3).fit(rows(folder))
    assert first.column_names == ["x", "y"]
    other = write(tmp_path / "b", X[np.argsort(X[:, 0])], order=(2, 0, 1))
    assert bits(make(max_epochs=3).fit(rows(other))) == bits(first)
    # killed within the second epoch
    options = {"checkpoint": str(tmp_path / "c"), "checkpoint_steps": 2}
    steps, take = [], StreamedBatches.take

    def killed(self):
        if len(steps) == first.fit_result_.steps // 3 + 2:
            raise SystemExit
        steps.append(1)
        return take(self)

    unlucky = make(max_epochs=3, fit_options=options)
    with monkeypatch.context() as patched:
        patched.setattr(StreamedBatches, "take", killed)
        with pytest.raises(SystemExit):
            unlucky.fit(rows(folder))
    again = make(max_epochs=3, fit_options=options).fit(rows(folder), resume=True)
    assert bits(again) == bits(first)
    with pytest.raises(ValueError, match="another run"):
        make(max_epochs=3, fit_options=options).fit(rows(folder, sample_rows=300), resume=True)


def labelled(folder, text=False):
    """Two clusters side by side, with a few labels that are the other way round than the start."""
    random = np.random.RandomState(0)
    side = np.repeat([0, 1], 600)
    frame = pd.DataFrame(random.randn(1200, 2) + 8 * side[:, None], columns=["x", "y"])
    known = np.where(np.arange(1200) % 10 == 0, 1 - side, -1)
    names = np.array(["left", "right", None], dtype=object)
    frame["kind"] = names[known] if text else known
    frame["count"] = 1.0 + 2.0 * side
    frame.to_parquet(folder / "a.parquet", row_group_size=200)
    return frame


@pytest.mark.parametrize("text", [False, True])
def test_labels_and_weights_teach(text, tmp_path):
    frame = labelled(tmp_path, text)
    data = ParquetRows(tmp_path, label="kind", weight="count", buffer_mb=0.03)
    model = FlowMixture(flow=TINY, max_epochs=1, random_state=0).fit(data)
    assert model.n_components_ == 2
    side = np.repeat([0, 1], 600)
    assert (model.predict(frame[["x", "y"]]) == 1 - side).mean() > 0.99
    assert model.classes_.tolist() == (["left", "right"] if text else [0, 1])
    assert np.abs(model.weights_ - [0.75, 0.25]).max() < 0.05  # rows of the right count three


def test_labels_are_targets_and_rows_apart_count_nothing():
    with pytest.warns(UserWarning, match="y has the 2 classes 5, 7"):
        targets, count = class_targets(KnownLabels(None, np.array([5, 7]), False), None)
    assert count == 2
    parts = RowParts(np.eye(3), weights=np.array([1.0, 2.0, 4.0]), labels=np.array([7, -1, 5]))
    rows = Rows(torch.eye(3), torch.zeros(3), weights=torch.tensor([1.0, 2.0, 4.0]))
    teaching(targets, lambda X: X[:, 1] > 0)(rows, parts)
    assert rows.targets.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert rows.weights.tolist() == [1, 0, 4]
    none, count = class_targets(KnownLabels(None, np.empty(0, np.int64), False), 3)
    assert none(None) is None
    assert count == 3


def test_classes_that_a_sample_lacks_are_known(tmp_path):
    frame = labelled(tmp_path)
    frame.loc[frame.index[0], "kind"] = 5
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=200)
    data = ParquetRows(tmp_path, ["x", "y"], label="kind", sample_rows=300, buffer_mb=0.03)
    with pytest.warns(UserWarning, match="y has the 3 classes 0, 1, 5"):
        model = FlowMixture(flow=None, max_epochs=1, random_state=0).fit(data)
    assert model.classes_.tolist() == [0, 1, 5]


def test_a_density_depends_on_a_streamed_context(tmp_path):
    random = np.random.RandomState(0)
    c = np.sort(random.rand(1500) * 4)
    frame = pd.DataFrame({"x": 3 * c + 0.1 * random.randn(1500), "y": random.randn(1500), "c": c})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=100)
    data = ParquetRows(tmp_path, context=["c"], buffer_mb=0.02)
    model = FlowDensity(flow=TINY, max_epochs=1, random_state=0).fit(data)
    rows, parts = Rows(torch.zeros(2, 2), torch.zeros(2)), RowParts(np.zeros((2, 2)), c[:2, None])
    model._conditioned(rows, parts)
    assert (rows.context == model.conditions_.encode(frame[["c"]].head(2), 2)).all()
    told = model.score(frame[["x", "y"]], context=frame[["c"]])
    exact = -1 - np.log(0.1) - np.log(2 * np.pi)
    assert abs(told - exact) < 0.05
    with pytest.raises(ValueError, match="a mixture has no context"):
        FlowMixture(2).fit(data)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_streamed_fit_is_as_good_as_one_in_memory(kind, tmp_path):
    make, data = KINDS[kind], rows(write(tmp_path, X))
    streamed, held = (make(max_epochs=150).fit(each) for each in (data, X))
    test = pd.DataFrame(TEST, columns=["x", "y"])
    assert streamed.score(test) > held.score(TEST) - 0.05


def test_what_needs_all_rows_is_refused(folder):
    data = rows(folder)
    with pytest.raises(ValueError, match=r"y is for rows in memory: name columns by .*label"):
        FlowMixture(2).fit(data, y=np.zeros(N))
    with pytest.raises(ValueError, match=r"model_options\.algorithm asks for all rows"):
        FlowMixture(2, model_options={"algorithm": "em"}).fit(data)
    with pytest.raises(ValueError, match="context is for rows in memory"):
        FlowDensity().fit(data, context=X)


def test_rows_far_from_all_others_are_not_trained_on(tmp_path):
    Y = X.copy()
    Y[::300] = 1e5
    data = rows(write(tmp_path, Y), sample_rows=2000)
    with pytest.warns(UserWarning, match="apart"):
        model = KINDS["mixture"](max_epochs=1).fit(data)
    assert 0 < model.contamination_ < 0.05
    assert np.abs(model.sample(500, random_state=0)[0]).max(1).mean() < 1e4


def test_other_estimators_say_that_they_hold_rows(folder):
    with pytest.raises(TypeError, match="a GaussianMixture takes rows in memory"):
        GaussianMixture(2).fit(rows(folder))


def test_the_command_fits_the_same(folder, tmp_path):
    name = tmp_path / "m.safetensors"
    options = "-k 2 --flow-option n_layers=2 --flow-option hidden=[8] --max-epochs 2 --stream"
    limits = "--sample-rows 400 --buffer-mb 0.03"
    command = ["fit", str(folder), "-o", str(name), *options.split(), *limits.split()]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1500, not held" in done.stdout
    expected = KINDS["mixture"](max_epochs=2).fit(rows(folder))
    assert bits(load(name)) == bits(expected)
    done = CliRunner().invoke(app, [*command, "--classes", "1"])
    assert "--classes needs the rows in memory" in done.output
    done = CliRunner().invoke(app, ["fit", str(folder), "-o", str(name), *limits.split()])
    assert "goes with --stream" in done.output


# MiB that a fit may take, and of the table.
BOUND, TABLE = 48, 240
MEMORY = """
import resource, sys
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from anabranch import FlowMixture
from anabranch.data import ParquetRows
path, mb, how, bound = sys.argv[1], float(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if how == "write":
    random = np.random.RandomState(0)
    schema = pa.schema([(f"c{j}", pa.float64()) for j in range(20)])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(int(mb)):
            block = random.randn(2**20 // 160, 20)
            writer.write_table(pa.table(list(block.T), schema=schema), row_group_size=2000)
    sys.exit()
flow = {"name": "realnvp", "n_layers": 1, "hidden": [4]}
fit = lambda data: FlowMixture(2, flow=flow, max_epochs=1, random_state=0).fit(data)
fit(ParquetRows(sys.argv[5], sample_rows=5000, buffer_mb=8))  # what is loaded once is no table's
told = dict(line.split(":", 1) for line in open("/proc/self/status"))
most = int(told["VmData"].split()[0]) * 1024 + bound * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
if how == "hold":
    np.ones((int(mb), 2**17))
data = ParquetRows(path, sample_rows=5000, buffer_mb=8)
print(len(data), fit(data).fit_result_.steps)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded as Linux does")
def test_a_table_five_times_what_memory_holds_is_fitted(tmp_path):
    script, path, small = (tmp_path / name for name in ("run.py", "t.parquet", "s.parquet"))
    script.write_text(MEMORY)

    def run(how, path=path, mb=TABLE):
        words = [path, mb, how, BOUND, small]
        return subprocess.run(
            [sys.executable, str(script), *map(str, words)],
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run("write").returncode == run("write", small, 4).returncode == 0
    assert "MemoryError" in run("hold").stderr  # the bound holds
    done = run("fit")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 5 * BOUND * 2**20 / 160 - 2**17
