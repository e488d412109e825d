"""Groups of settings, under their names of today and of yesterday."""

import inspect
import warnings
from dataclasses import dataclass
from typing import ClassVar

import pytest
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from anabranch.contracts.numbers import check_positive
from anabranch.estimators.groups import (
    GroupedSettings,
    accepts_old_names,
    migrated,
    read_group,
)


@dataclass(frozen=True)
class Temperature:
    decay: float = 1e-3
    floor: float = 1e-2

    def __post_init__(self):
        check_positive(self, ("decay", "floor"))


@dataclass(frozen=True)
class Consistency:
    weight: float = 0.0
    perturbation: str | None = None


class Model(GroupedSettings):
    groups: ClassVar = {"temperature": Temperature, "consistency": Consistency, "flow": dict}
    old_names: ClassVar = {
        "temperature_decay": "temperature__decay",
        "temperature_floor": "temperature__floor",
        "consistency": "consistency__weight",
        "perturbation": "consistency__perturbation",
    }

    @accepts_old_names
    def __init__(self, flow="maf", *, temperature=None, consistency=None, size=1):
        self.flow = flow
        self.temperature = temperature
        self.consistency = consistency
        self.size = size


def test_groups_have_nested_names():
    model = Model(temperature={"decay": 0.5})
    params = model.get_params()
    assert params["temperature__decay"] == 0.5
    assert params["temperature__floor"] == 1e-2
    assert "temperature__decay" not in model.get_params(deep=False)
    model.set_params(temperature__floor=0.1, size=3)
    assert model.temperature == {"decay": 0.5, "floor": 0.1}
    assert model.size == 3


def test_setting_one_model_leaves_another_alone():
    given = {"decay": 0.5}
    first, second = Model(temperature=given), Model(temperature=given)
    first.set_params(temperature__decay=0.25)
    assert second.temperature == {"decay": 0.5}


def test_groups_survive_clones_and_grids():
    for params in ParameterGrid({"temperature__decay": [0.1, 0.2], "size": [2]}):
        model = clone(clone(Model(temperature={"floor": 0.3})).set_params(**params))
        assert model.temperature == {"floor": 0.3, "decay": params["temperature__decay"]}


def test_keywords_of_a_recipe_are_reached_by_its_name():
    model = Model("nsf").set_params(flow__n_layers=4)
    assert model.flow == {"name": "nsf", "n_layers": 4}
    assert model.get_params()["flow__n_layers"] == 4


def test_a_list_is_set_as_a_whole():
    with pytest.raises(ValueError, match="flow is a list: set all of it, not flow__n_layers"):
        Model(["maf", "nsf"]).set_params(flow__n_layers=4)


@pytest.mark.parametrize("name", ["temperature__rate", "temprature"])
def test_unknown_names_are_refused_and_nothing_is_set(name):
    model = Model()
    with pytest.raises(ValueError, match=r"rate|temprature"):
        model.set_params(temperature__decay=0.5, **{name: 1})
    assert model.temperature is None


def test_old_names_are_taken_with_a_warning():
    with pytest.warns(FutureWarning, match=r"temperature_decay=0.5 is now temperature={'decay'"):
        model = Model(temperature_decay=0.5)
    assert model.temperature == {"decay": 0.5}
    with pytest.warns(FutureWarning, match="temperature_floor"):
        model.set_params(temperature_floor=0.25)
    assert model.temperature == {"decay": 0.5, "floor": 0.25}


def test_old_and_new_names_add_up():
    with pytest.warns(FutureWarning):
        model = Model(consistency=2.0, perturbation="affine", temperature_floor=0.5)
    assert model.consistency == {"weight": 2.0, "perturbation": "affine"}
    assert model.temperature == {"floor": 0.5}


def test_a_number_in_place_of_a_group_is_understood_where_it_is_read():
    model = Model(consistency=2.0)  # as it is given, or clones would differ
    assert model.consistency == 2.0
    assert model.get_params()["consistency__weight"] == 2.0
    with pytest.warns(FutureWarning, match=r"consistency=2.0 is now consistency={'weight': 2.0}"):
        read = read_group("consistency", model.consistency, Consistency, old="weight")
    assert read == Consistency(2.0)
    assert model.set_params(consistency__perturbation="noise").consistency == {
        "weight": 2.0,
        "perturbation": "noise",
    }


def test_the_signature_shows_the_new_names_only():
    assert list(inspect.signature(Model).parameters) == [
        "flow",
        "temperature",
        "consistency",
        "size",
    ]
    with pytest.raises(TypeError, match="temprature"):
        Model(temprature=1)


def test_new_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model(temperature={"decay": 0.5}).set_params(temperature__decay=0.1, consistency=None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 1}, "temperature has no 'rate': it takes decay, floor"),
        ({"decay": -1}, "temperature.decay must be a positive number, got -1"),
        ({"decay": True}, "temperature.decay must be a positive number, got True"),
        (3, "temperature must be a dict with some of decay, floor, or None, got 3"),
        ([1], "temperature must be a dict"),
    ],
)
def test_wrong_groups_are_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        read_group("temperature", given, Temperature)


def test_settings_of_old_files_are_understood_in_silence():
    old = {
        "flow": {"name": "maf", "n_layers": 2},
        "temperature_decay": 0.5,
        "temperature_floor": 1e-2,
        "consistency": 1.0,
        "perturbation": None,
        "size": 2,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        params = migrated(Model, old)
    assert params == {
        "flow": {"name": "maf", "n_layers": 2},
        "temperature": {"decay": 0.5},
        "consistency": {"weight": 1.0},
        "size": 2,
    }
    assert Model(**params).get_params(deep=False) == params
    assert migrated(Model, params) == params
    untouched = migrated(Model, {"temperature_decay": 1e-3, "consistency": 0.0})
    assert untouched == {"temperature": None, "consistency": None}
