"""What files say is shown, not obeyed; and tables may come from anywhere in Europe."""

import io
import sys

import numpy as np
import pandas as pd
import pytest

from anabranch import GaussianMixture, load, save
from anabranch.cli import main

from .conftest import TINY, blobs

RED = "\x1b[31mred\x9b\u202e"
FORMULA = '=HYPERLINK("http://x")'


@pytest.fixture
def odd(tmp_path):
    """A table and a model whose names are commands and formulas."""
    X, labels = blobs(30)
    kind = np.array([f"cat{RED}", "dog", "eel"])[labels]
    frame = pd.DataFrame(X, columns=[f"Höhe{RED}", FORMULA])
    frame.assign(kind=kind).to_csv(tmp_path / "t.csv", index=False)
    save(GaussianMixture(3, random_state=0).fit(frame), tmp_path / "m")
    return tmp_path


def test_nothing_reaches_a_terminal_raw(cli, odd, tmp_path):
    (tmp_path / "bad.csv").write_text(f"{RED},{FORMULA}\n{RED},1\n")
    commands = [
        ["fit", odd / "t.csv", "-o", odd / "new", "--label-column", "kind", "--verbose", *TINY],
        ["fit", odd / "bad.csv", "-o", odd / "new2", "-k", 2],
        ["predict", odd / "m", odd / "t.csv", "-o", odd / f"{RED}.csv", "--label-column", "kind"],
        ["predict", odd / "m", odd / f"{RED}.csv", "-o", odd / "p.csv"],
        ["fit", odd / f"{RED}.nothing", "-o", odd / "new2", "-k", 2],
        ["fit", odd / "t.csv", "-o", odd / "new2", "--set", RED],
        ["info", odd / "m"],
        ["info", odd / "m", "--json"],
        ["sample", odd / "m", "-o", odd / "s.csv"],
    ]
    said = "".join(result.stdout + result.stderr for result in (cli(*args) for args in commands))
    assert not {"\x1b", "\x9b", "\u202e"} & set(said)
    assert "cat\\x1b[31mred\\x9b\\u202e" in said


@pytest.mark.parametrize("name", [FORMULA, "+1", "-1", "@SUM(A1)", "\tx", RED])
def test_names_that_are_formulas_or_commands_are_written_only_when_asked(
    succeed, cli, tmp_path, name
):
    frame = pd.DataFrame(blobs(30)[0], columns=[name, "plain"])
    save(GaussianMixture(3, random_state=0).fit(frame), tmp_path / "m")
    result = cli("sample", tmp_path / "m", "-n", 5, "-o", tmp_path / "s.csv")
    assert "1 columns are written under names that are no formulas or commands" in result.stderr
    first, plain = pd.read_csv(tmp_path / "s.csv").columns
    assert first[0] in "'\\"
    assert first.isprintable()
    assert plain == "plain"
    succeed("sample", tmp_path / "m", "-n", 5, "-o", tmp_path / "s.csv", "--raw-names")
    assert list(pd.read_csv(tmp_path / "s.csv").columns) == [name, "plain"]
    succeed("sample", tmp_path / "m", "-n", 5, "-o", tmp_path / "s.parquet")
    assert list(pd.read_parquet(tmp_path / "s.parquet").columns) == [name, "plain"]


def test_a_traceback_and_a_pipe_that_knows_latin_alone(odd, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["anabranch", "--debug", "info", str(odd / f"no{RED}")])
    with pytest.raises(SystemExit, match="1"):
        main()
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "\x1b" not in error
    (odd / "m").rename(odd / "Ωhm")
    monkeypatch.setattr(sys, "argv", ["anabranch", "info", str(odd / "Ωhm")])
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    with pytest.raises(SystemExit, match="0"):
        main()
    sys.stdout.flush()
    assert b"\\u03a9hm" in written.getvalue()


def test_a_european_table(succeed, fail, tmp_path):
    X, labels = blobs()
    frame = pd.DataFrame(X, columns=["Länge", "Höhe"]).assign(Art=labels)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "e.csv", index=False, sep=";", decimal=",")
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_csv(tmp_path / "t.txt", index=False, sep="\t")
    european = ["--delimiter", ";", "--decimal", ","]
    fit = ["-k", 3, *TINY, "--label-column", "Art", "--quiet", "-o"]
    succeed("fit", tmp_path / "t.csv", *fit, tmp_path / "m")
    succeed("fit", tmp_path / "e.csv", *european, *fit, tmp_path / "e")
    expected = load(tmp_path / "m").score_samples(frame[["Länge", "Höhe"]])
    assert (load(tmp_path / "e").score_samples(frame[["Länge", "Höhe"]]) == expected).all()
    scored = []
    for name, how in (("e.csv", european), ("t.tsv", []), ("t.txt", ["--delimiter", "\\t"])):
        common = [tmp_path / "m", tmp_path / name, *how, "--label-column", "Art", "-o"]
        succeed("score", *common, tmp_path / "s.csv")
        succeed("predict", *common, tmp_path / "p.csv")
        scored.append(pd.read_csv(tmp_path / "s.csv")["log_prob"])
    assert np.ptp(scored, axis=0).max() == 0
    assert "say --delimiter ';', and --decimal ','" in fail(
        "fit", tmp_path / "e.csv", *fit, tmp_path / "n"
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--device", "meta"], "--device meta cannot be used"),
        (["--set", "fit_options.monitor=nope"], "monitor must be one of"),
        (
            ["--flow-option", "hidden=[10000,100000000000]"],
            "there is not enough memory: you tried",
        ),
    ],
)
def test_settings_that_torch_would_stumble_over(fail, files, tmp_path, args, said):
    common = ["fit", files / "t.csv", "-o", tmp_path / "m", "--max-epochs", 1, "-k", 3]
    sentence = fail(*common, *args)
    assert said in sentence
    assert "unexpected" not in sentence
