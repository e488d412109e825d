"""docs/compared.md says what each flow can do; here every row of its first table is tried."""

import re
import sys
from inspect import signature
from pathlib import Path

import pytest
import torch

from anabranch import distributions, transforms
from anabranch.models import build, list_recipes
from anabranch.networks import MADE, NADE, CausalTransformer
from tests.registry import perturb, seeded

PAGE = Path(__file__).parents[2] / "docs" / "compared.md"
# no flows, but models that are made of them
MODELS = {
    # of one thing given another
    "binary_density",
    "cinn",
    "conditional_glow",
    "independent_pixels",
    "inn",
    "tzk",
    "videoflow",
    # others
    "sic",
    "deep_density",
    "vine",
    "vine_autoencoder",
    "flow_mixture",
    "flow_vae",
    "flow_density",
    "autoencoder",
    "dec",
    "gmgan",
    "image_density",
    "gmvae",
    "local_context",
    "local_context_mixture",
    "nvisa",
    "product_flow",
    "product_density",
    "ltvae",
    "mixae",
    "svae",
    "vade",
    "vae",
}
VARIANTS = {
    "by coupling": {"structure": "coupling"},
    "autoregressive": {"structure": "autoregressive"},
    "inverse": {"inverse": True},
}


def rows():
    text = PAGE.read_text(encoding="utf-8").split("## Flows elsewhere")[0]
    found = re.findall(r"^\| `(\w+)`(?:, ([\w ]+))? \|(.*)\|$", text, re.MULTILINE)
    return [
        (name, variant, [cell.strip() for cell in cells.split("|")])
        for name, variant, cells in found
    ]


def named(row):
    return "-".join(part for part in row[:2] if part)


def make(row, **arguments):
    name, variant, _ = row
    if row[2][4] == "images":
        arguments["image_shape"] = [2, 2]
    flow = build(name, features=4, seed=0, **VARIANTS.get(variant, {}), **arguments)
    return perturb(flow, std=0.1).eval()


def data(row, *shape):
    x = torch.randn(*shape, generator=seeded(0))
    if "angles" in row[2][4]:
        return x.remainder(2 * torch.pi)
    if "directions" in row[2][4]:
        return x / x.norm(dim=-1, keepdim=True)
    return (x > 0).float() if "bits" in row[2][4] else x


class Costs:
    """Whether equations were solved in steps, or features taken in turn, while it watches."""

    def __init__(self, monkeypatch):
        self.numeric = self.steps = False
        for module in list(sys.modules.values()):
            if not module.__name__.startswith("anabranch"):
                continue
            for name in ("find_root", "runge_kutta", "fixed_point"):
                if callable(solver := getattr(module, name, None)):
                    monkeypatch.setattr(module, name, self.watch(solver, "numeric"))
        for network in (MADE, NADE, CausalTransformer):
            monkeypatch.setattr(network, "in_turn", self.watch(network.in_turn, "steps"))

    def watch(self, function, flag):
        def watched(*args, **kwargs):
            setattr(self, flag, True)
            return function(*args, **kwargs)

        return watched

    def read(self):
        said = "numeric" if self.numeric else "D steps" if self.steps else "one pass"
        self.numeric = self.steps = False
        return said


def test_every_flow_has_its_row():
    of_rows = {
        name for name, make in list_recipes().items() if "features" in signature(make).parameters
    }
    assert {name for name, *_ in rows()} == of_rows - MODELS


@pytest.mark.parametrize("row", rows(), ids=named)
def test_density_and_sample_cost_what_the_table_says(row, monkeypatch):
    flow = make(row)
    costs = Costs(monkeypatch)
    assert torch.isfinite(flow.log_prob(data(row, 5, 4))).all()
    density = costs.read()
    assert torch.isfinite(flow.sample(5)).all()
    assert [density, costs.read()] == row[2][:2]


@pytest.mark.parametrize("row", rows(), ids=named)
def test_a_context_is_taken_and_matters_where_the_table_says(row):
    if row[2][2] != "yes":
        with pytest.raises(TypeError, match="context_features"):
            make(row, context_features=2)
        return
    flow = make(row, context_features=2)
    x = data(row, 5, 4)
    near, far = (flow.log_prob(x, torch.full((5, 2), c)) for c in (0.0, 3.0))
    assert (near != far).all()


@pytest.mark.parametrize("row", rows(), ids=named)
def test_k_flows_are_one_call_where_the_table_says(row):
    assert row[2][3] == "yes"
    flows = make(row, batch_shape=[3])
    log_prob = flows.log_prob(data(row, 5, 4))
    assert log_prob.shape == (3, 5)
    assert (log_prob[0] != log_prob[1]).any()


@pytest.mark.parametrize(
    ("title", "package"), [("Transforms", transforms), ("Bases", distributions)]
)
def test_every_name_of_the_tables_is_there(title, package):
    text = PAGE.read_text(encoding="utf-8").split(f"## {title}")[1].split("##")[0]
    named = re.findall(r"`([A-Za-z]+)`", text)
    assert len(named) > 15
    assert [name for name in named if not hasattr(package, name)] == []
