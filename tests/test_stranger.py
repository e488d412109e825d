"""What CONTRIBUTING.md says is enough is enough: its files, made in a copy of the tree, pass.

A scalar map and a recipe are one new file and one changed line each. The battery, the tests of
recipes and those of the pages then find them by themselves. A setting is one changed file.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "src/anabranch"
NEW = {
    "the scalar map": f"{PACKAGE}/transforms/scalar/yeo_johnson.py",
    "the recipe": f"{PACKAGE}/models/flows/lu_realnvp.py",
}
CHANGED = {
    "the line of the scalar map": f"{PACKAGE}/transforms/__init__.py",
    "the line of the recipe": f"{PACKAGE}/models/__init__.py",
}
# words that stand together in the name of a test that must have run
TRIED = (
    "round_trip elementwise-yeo-johnson",
    "round_trip coupling-yeo-johnson",
    "log_det autoregressive-yeo-johnson stack context",
    "far_outside yeo-johnson",
    "derivatives decode yeo-johnson",
    "parameters_zero yeo-johnson",
    "saved_and_loaded lu_realnvp",
    "a_seed_decides_all_weights lu_realnvp",
    "a_flow_is_a_short_file lu_realnvp",
    "every_transform_is_described_once",
    "every_recipe_is_described_once",
    "the_catalogue_says_what_and_from_where",
    "imports_run_downward lu_realnvp.py",
    "yeo_johnson.YeoJohnson",
    "lu_realnvp.lu_realnvp",
)


PLAN = f"{PACKAGE}/procedures/mixture_options.py"
SETTING = """
from typer.testing import CliRunner
from anabranch import FlowMixture, load
from anabranch.cli.app import app
from anabranch.data import write_table
from anabranch.problems import Moons

mixture = FlowMixture(2, model_options={"stiffness": 0.25})
assert mixture.get_params()["model_options__stiffness"] == 0.25
assert FlowMixture(2).set_params(model_options__stiffness=0.5).model_options == {"stiffness": 0.5}
X, _ = Moons().sample(60, random_state=0)
try:
    FlowMixture(2, model_options={"stiffness": -1.0}).fit(X)
except ValueError as error:
    assert "model_options.stiffness must" in str(error), error
else:
    raise AssertionError("a wrong value was accepted")

write_table("x.csv", {"x": X[:, 0], "y": X[:, 1]})
command = "fit x.csv -k 2 -o m.safetensors --set model_options.stiffness=0.25 --set max_epochs=0"
done = CliRunner().invoke(app, command.split())
assert done.exit_code == 0, done.output
assert load("m.safetensors").get_params()["model_options__stiffness"] == 0.25
"""


def contribution(name):
    """The Python block of CONTRIBUTING.md that begins with this comment, without the comment."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^```python\n# {name}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"there is no block {name!r}"
    return found[1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the tree with the stranger's two files and two lines."""
    root = tmp_path_factory.mktemp("tree")
    passing = shutil.ignore_patterns("__pycache__", ".*", "*.png")
    for folder in ("src", "tests", "docs"):
        shutil.copytree(ROOT / folder, root / folder, ignore=passing)
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml"):
        shutil.copy(ROOT / page, root / page)
    for name, path in NEW.items():
        assert not (root / path).exists(), "the stranger's files are not ours"
        (root / path).write_text(contribution(name), encoding="utf-8")
    for name, path in CHANGED.items():
        line = contribution(name)
        assert line.count("\n") == 1
        insert(root / path, line)
    return root


def insert(path, line):
    """Put an import where the alphabet wants it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    later = (i for i, old in enumerate(lines) if old.startswith("from ") and old > line)
    lines.insert(next(later, len(lines)), line)
    path.write_text("".join(lines), encoding="utf-8")


def run(tree, *command):
    """Run Python in the copy, on the package of the copy."""
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_battery_pages_and_registry_take_them_up(tree):
    report = tree / "report.xml"
    run(
        tree,
        *("-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"),
        *("tests/transforms/test_battery.py", "tests/transforms/test_scalar_maps.py"),
        *("tests/models/test_recipes.py", "tests/test_docs.py", "tests/test_architecture.py"),
        *NEW.values(),
        *("-k", "yeo-johnson or yeo_johnson or lu_realnvp or described or catalogue"),
    )
    ran = [case.get("name") for case in ElementTree.parse(report).iter("testcase")]
    missing = [words for words in TRIED if not any(all_in(words, name) for name in ran)]
    assert not missing


def all_in(words, name):
    return all(word in name for word in words.split())


def test_a_setting_is_one_changed_file(tree):
    text = (tree / PLAN).read_text(encoding="utf-8")
    head, group, rest = text.partition("class ModelOptions:")
    signature = "    def __post_init__(self) -> None:\n"
    fields, _, checks = rest.partition(signature)
    field = "    stiffness: float = 0.0\n\n"
    check = '        check_not_negative(self, ("stiffness",))\n'
    (tree / PLAN).write_text(
        f"{head}{group}{fields.rstrip()}\n{field}{signature}{check}{checks}", encoding="utf-8"
    )
    run(tree, "-c", SETTING)


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
def test_they_are_in_order(tree):
    """What the page shows would pass `make lint`."""
    run(tree, "-m", "ruff", "check", *NEW.values(), *CHANGED.values())
    run(tree, "-m", "ruff", "format", "--check", *NEW.values())
