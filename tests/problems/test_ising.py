"""The Ising model against sums over all states."""

import numpy as np
import pytest

from anabranch.problems import Ising


@pytest.mark.parametrize(("size", "entropy"), [(3, 4.3753), (4, 7.0382)])
def test_entropies(size, entropy):
    problem = Ising(size)
    assert problem.entropy().value == pytest.approx(entropy, abs=1e-4)
    assert np.exp(problem.state_log_probs).sum() == pytest.approx(1)


def test_no_coupling_is_uniform():
    assert Ising(3, coupling=0.0).entropy().value == pytest.approx(9 * np.log(2))


@pytest.mark.parametrize("periodic", [False, True])
def test_ratios_of_probabilities_are_those_of_the_energy(periodic):
    problem = Ising(3, 0.4, periodic=periodic)
    X = problem.states[[0, 1, 100, 341]]
    energies = []
    for spins in (2 * X - 1).reshape(-1, 3, 3):
        total = 0.0
        for i in range(3):
            for j in range(3):
                for a, b in ((i + 1, j), (i, j + 1)):
                    if periodic or (a < 3 and b < 3):
                        total += spins[i, j] * spins[a % 3, b % 3]
        energies.append(0.4 * total)
    log_prob = problem.log_prob(X)
    assert log_prob - log_prob[0] == pytest.approx(np.array(energies) - energies[0])


def test_draws():
    problem = Ising(2, 0.3)
    X = problem.sample(40_000, random_state=0)
    assert X.shape == (40_000, 4)
    numbers = (X @ 2 ** np.arange(4)).astype(int)
    frequencies = np.bincount(numbers, minlength=16) / len(X)
    assert np.abs(frequencies - np.exp(problem.state_log_probs)).max() < 0.01
    assert (problem.sample(5, 1) == problem.sample(5, 1)).all()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="size is 5"):
        Ising(5)
    with pytest.raises(ValueError, match="coupling"):
        Ising(3, np.inf)
    with pytest.raises(ValueError, match="n is -1"):
        Ising(3).sample(-1)
    with pytest.raises(ValueError, match="expected \\(n, 9\\)"):
        Ising(3).log_prob(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        Ising(3).log_prob(np.full((2, 9), 0.5))
