import subprocess
import sys

import pytest

import anabranch
from anabranch.cli import app, fitting

COMMANDS = ("fit", "predict", "score", "sample", "report", "info", "models", "reproduce")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from anabranch.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'torch', 'numpy', 'sklearn', 'scipy', 'pandas', 'pyarrow', 'plotly'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded: []" in done.stdout
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    result = cli(command, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_version(succeed):
    assert succeed("--version") == f"anabranch {anabranch.__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ["nothing"],
        ["fit"],
        ["fit", "a.csv"],
        ["fit", "a.csv", "-o", "m", "--components", "many"],
        ["fit", "a.csv", "-o", "m", "--components", "0"],
        ["fit", "a.csv", "-o", "m", "--unknown", "1"],
        ["fit", "a.csv", "-o", "m", "--inference", "magic"],
        ["fit", "a.csv", "-o", "m", "--max-epochs", "-1"],
        ["fit", "a.csv", "-o", "m", "--levels", "few"],
        ["fit", "a.csv", "-o", "m", "--set", "n_init"],
        ["fit", "a.csv", "-o", "m", "--set", "weights=[8"],
        ["fit", "a.csv", "-o", "m", "--components", "2", "--set", "n_components=2"],
        ["fit", "a.csv", "-o", "m", "--flow-option", "n_layers=2", "--flow-option", "n_layers=3"],
        ["predict", "m", "a.csv"],
        ["predict", "m", "a.csv", "-o", "o.csv", "--method", "magic"],
        ["sample", "m", "-o", "o.csv", "-n", "0"],
        ["reproduce"],
    ],
)
def test_wrong_use_exits_with_2(cli, args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli(*args)
    assert result.exit_code == 2, result.output
    assert "Usage:" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(cli, tmp_path):
    result = cli("--debug", "info", tmp_path / "no.safetensors")
    assert isinstance(result.exception, FileNotFoundError)
    assert cli("info", tmp_path / "no.safetensors").exit_code == 1


def test_a_defect_says_how_to_see_it(fail, files, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(fitting, "read_tables", broken)
    sentence = fail("fit", files / "t.csv", "-o", tmp_path / "m")
    assert sentence == (
        "error: unexpected RuntimeError: two lines; anabranch --debug shows where it comes from"
    )


def test_an_interrupt_before_training_exits_with_130(cli, files, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "read_tables", interrupted)
    result = cli("fit", files / "t.csv", "-o", tmp_path / "m")
    assert result.exit_code == 130
    assert result.stderr == "interrupted: nothing was written\n"
    assert list(tmp_path.iterdir()) == []


def test_models_lists_the_recipes(succeed):
    lines = succeed("models").splitlines()
    assert [line.split()[0] for line in lines] == sorted(anabranch.models.list_recipes())
    assert all(len(line.split()) > 3 for line in lines)


def test_the_script_is_installed():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="anabranch")
    assert script.load().__module__ == "anabranch.cli.app"
    assert app.info.name == "anabranch"
