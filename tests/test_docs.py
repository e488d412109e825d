"""What the pages say is so: their Python and their commands run, and their links lead somewhere."""

import inspect
import re
import runpy
import shlex
import socket
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

from anabranch import (
    RAD,
    Coder,
    FlowDensity,
    FlowGMM,
    FlowMixture,
    FlowVAE,
    NeuralPosterior,
    PixelDensity,
    experiments,
    models,
    transforms,
)
from anabranch.cli.app import app
from anabranch.data import write_table
from anabranch.experiments import registry as experiment_registry
from anabranch.models import registry as recipe_registry
from anabranch.problems import Pinwheel, Problem
from anabranch.procedures.mixture_options import Consistency
from tests import registry
from tests.discovery import exported
from tests.transforms import test_battery

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GALLERY = ROOT / "docs" / "gallery.md"  # whose code runs as its pictures are drawn
REAL = ("[mixed-tables]",)  # pages that run at their real settings
GENERATED = {ROOT / "docs" / "results.md"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page, *languages):
    """Language, code and first line of each block of a page."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        if found[1] in languages:
            yield found[1], found[2], text[: found.start(2)].count("\n")


def with_code(pages):
    chosen = [page for page in pages if page != GALLERY and any(blocks(page, "python", "bash"))]
    return pytest.mark.parametrize("page", chosen, ids=[p.stem for p in chosen])


@pytest.fixture(autouse=True)
def _quick(monkeypatch, request):
    """The pages use the defaults; here they train for one epoch, but for those that take little."""
    if any(page in request.node.name for page in REAL):
        return
    quick = {"max_epochs": 1, "init_params": "kmeans", "covariance_type": "full"}
    for estimator in (
        FlowMixture,
        FlowDensity,
        NeuralPosterior,
        FlowGMM,
        RAD,
        Coder,
        PixelDensity,
        FlowVAE,
    ):
        defaults = inspect.unwrap(estimator.__init__).__kwdefaults__
        for name in quick.keys() & defaults.keys():
            monkeypatch.setitem(defaults, name, quick[name])
    steps = Consistency.__init__.__defaults__
    monkeypatch.setattr(Consistency.__init__, "__defaults__", (*steps[:-1], 10))


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the table that the commands speak of, and one process that is its group."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in group.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    X, wing = Pinwheel().sample_per_component(60, random_state=0)
    pictures = np.random.default_rng(0).integers(-3, 4, (60, 8, 8)).cumsum(-1).cumsum(1)
    np.save("pictures.npy", (pictures % 256).astype(np.uint8))
    write_table("wings.csv", {"x": X[:, 0], "y": X[:, 1], "wing": wing})
    return tmp_path


def run_python(code, page, line, namespace):
    exec(compile("\n" * line + code, str(page), "exec"), namespace)


def run_commands(code):
    for command in code.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(command)
        assert program == "anabranch"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"


@with_code(PAGES)
def test_code_of_a_page_runs(page, desk):
    namespace = {"__name__": "page"}
    for language, code, line in blocks(page, "python", "bash"):
        if language == "python":
            run_python(code, page, line, namespace)
        else:
            run_commands(code)


def test_every_command_is_shown():
    shown = {
        line.split()[1]
        for _, code, _ in blocks(ROOT / "README.md", "bash", "text")
        for line in code.splitlines()
        if line.startswith("anabranch ")
    }
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert shown == commands


@pytest.fixture(scope="module")
def expanded():
    """The text of all pages, as Sphinx reads them, and the maker of its tables."""
    catalogue = runpy.run_path(str(ROOT / "docs" / "catalogue.py"))
    texts = [catalogue["expand"](page.read_text(encoding="utf-8")) for page in PAGES]
    return catalogue, "\n".join(texts)


def described(text, package):
    found = rf"^\.\. auto(?:class|function):: anabranch\.{package}\.(\w+)$"
    return sorted(re.findall(found, text, re.MULTILINE))


def test_every_transform_is_described_once(expanded):
    assert described(expanded[1], "transforms") == sorted(exported(transforms))


def test_every_recipe_is_described_once(expanded):
    assert set(described(expanded[1], "models")) >= set(models.list_recipes())
    names = [n for n in described(expanded[1], "models") if n in models.list_recipes()]
    assert len(names) == len(set(names))


def test_the_catalogue_says_what_and_from_where(expanded):
    catalogue, text = expanded
    for package in ("models", "transforms"):
        rows = re.findall(
            rf"^   \* - :py:obj:`~anabranch\.{package}\.(\w+)`\n     - (.+)$", text, re.MULTILINE
        )
        told = models.list_recipes() if package == "models" else exported(transforms)
        assert sorted(name for name, _ in rows) == sorted(told)
    recipes = models.list_recipes()
    assert catalogue["source"](recipes["realnvp"]).startswith("Dinh et al. (2016), `arXiv:1605.08")
    assert "1511" not in catalogue["source"](recipes["autoencoder"]), "the link of another paper"


def test_a_docstring_without_a_sentence_is_refused(expanded):
    def wordless():
        pass

    with pytest.raises(ValueError, match="docstring of wordless must begin with a sentence"):
        expanded[0]["summary"](wordless)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=lambda p: p.stem
)
def test_links_lead_somewhere(page):
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if link.startswith(("http", "#")):
            continue
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target in GENERATED or target.exists(), f"{page.name} links to {link}"


def contribution(name, namespace):
    """Run the block of CONTRIBUTING.md that begins with this comment, or give it as text."""
    page = ROOT / "CONTRIBUTING.md"
    for _, code, line in blocks(page, "python"):
        if code.startswith(f"# {name}\n"):
            run_python(code, page, line, namespace)
            return code
    raise AssertionError(f"there is no block {name!r}")


def test_the_transform_of_contributing_passes_the_battery(monkeypatch):
    page = ModuleType("page")  # a module that pickle finds
    monkeypatch.setitem(sys.modules, "page", page)
    namespace = vars(page)
    namespace.update({**vars(registry), "__name__": "page"})
    contribution("the transform", namespace)
    line = contribution("the line in tests/registry.py", namespace)
    case = eval(line, namespace)
    for config in registry.configs([case]):
        test_battery.test_round_trip(config)
        test_battery.test_log_det(config)
        test_battery.test_rows_dtype_and_device(config)
        test_battery.test_every_parameter_gets_a_gradient(config)
        test_battery.test_finite_far_outside(config)
        test_battery.test_state_and_copies(config)
        if config.batch_shape:
            test_battery.test_stack_equals_a_loop(config)


def test_the_system_of_contributing_is_a_component(monkeypatch):
    monkeypatch.setattr(recipe_registry, "_RECIPES", dict(models.list_recipes()))
    namespace = {"__name__": "page"}
    contribution("the recipe", namespace)
    contribution("the recipe at work", namespace)
    X, _ = Pinwheel(n_components=2).sample(100, random_state=0)
    mixture = namespace["mixture"].fit(X)
    assert mixture.model_.recipe["arguments"]["flow"] == {"name": "lu_realnvp", "n_layers": 3}
    assert mixture.predict(X).shape == (100,)


def test_the_experiment_of_contributing_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(experiment_registry, "_EXPERIMENTS", experiments.list_experiments())
    contribution("the experiment", {"__name__": "page"})
    path = experiments.run_experiment("moons-entropy", out=tmp_path)
    assert '"met": true' in path.read_text()


@pytest.fixture
def few_rows(monkeypatch):
    """Problems that draw no more rows than a picture needs to be one."""

    def few(draw, most):
        return lambda self, n, *how, **also: draw(self, min(n, most), *how, **also)

    monkeypatch.setattr(Problem, "sample", few(Problem.sample, 200))
    monkeypatch.setattr(Problem, "sample_per_component", few(Problem.sample_per_component, 60))


@pytest.mark.usefixtures("few_rows")
@pytest.mark.slow
def test_pictures_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_pictures.py", str(tmp_path)])
    runpy.run_path(str(ROOT / "docs" / "make_pictures.py"), run_name="__main__")
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs" / "pictures").iterdir()}


@pytest.mark.usefixtures("few_rows")
@pytest.mark.slow
def test_the_gallery_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["make_gallery.py", str(tmp_path)])
    draw_all = runpy.run_path(str(ROOT / "docs" / "make_gallery.py"))["main"]
    draw_all.__globals__.update(POINTS=100, CELLS=10)
    draw_all()
    drawn = {path.name for path in (tmp_path / "gallery").iterdir()}
    assert drawn == {path.name for path in (ROOT / "docs" / "gallery").iterdir()}
