"""The angles of proteins: how files are read, and what is scored."""

import lzma

import numpy as np
import pytest

from anabranch.experiments import dihedrals

LINES = """1a2p B 39 LYS B<15.7 wc<0.4,-98.988,-14.670,287.658,166.768,93.752,179.449,114.969,0.078
1a2p B 40 LYS B<15.7 wc<0.4,-98.988,-14.670,287.658,NULL,93.752,179.449,114.969,0.078
"""


def test_rows_with_gaps_are_left_out_and_angles_are_from_zero(tmp_path):
    for name in ("lys", "arg-1m"):
        with lzma.open(tmp_path / f"rota8000-{name}.csv.xz", "wt") as file:
            file.write(LINES)
    assert dihedrals.angles(tmp_path, "lysine") == pytest.approx(
        np.array([[287.658, 166.768, 93.752, 179.449]])
    )
    assert dihedrals.angles(tmp_path, "arginine") == pytest.approx(
        np.array([[261.012, 345.33]] * 2)
    )


def test_scores_are_in_radians(monkeypatch):
    """Of independent von Mises angles the entropy is known."""
    monkeypatch.setattr(dihedrals, "EPOCHS", 1)
    small = {name: {"size": 4, "hidden": [8]} for name in dihedrals.COMPONENTS}
    monkeypatch.setattr(dihedrals, "SIZES", {"arginine": small})
    from scipy.stats import vonmises

    rows = np.degrees(vonmises(2.0).rvs((1000, 2), random_state=0)) % 360
    found = dihedrals.one_fit(0, "arginine", "one flow", rows)
    assert found.nats == pytest.approx(2 * vonmises(2.0).entropy(), abs=0.25)
    assert dihedrals.torus_picture(found.fitted, points=8)[:4] == b"\x89PNG"
