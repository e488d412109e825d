import numpy as np
import pytest
import torch

from anabranch.metrics import (
    adjusted_rand,
    bits_per_dim,
    clustering_accuracy,
    contingency_table,
    energy_distance_test,
    ks_test,
    match_components,
    normalized_mutual_info,
)

# Rows are classes 0..2, columns components 0..2; the best assignment is 0->2, 1->0, 2->1.
TABLE = np.array([[1, 2, 7], [8, 1, 1], [3, 6, 1]])


def labels_of(table):
    rows, columns = np.indices(table.shape)
    return np.repeat(rows, table.ravel()), np.repeat(columns, table.ravel())


def test_a_table_by_hand():
    y_true, y_pred = labels_of(TABLE)
    assert clustering_accuracy(y_true, y_pred) == pytest.approx(21 / 30)
    assert match_components(y_true, y_pred).tolist() == [1, 2, 0]
    plain = contingency_table(y_true, y_pred, matched=False)
    assert np.array_equal(plain.counts, TABLE)
    matched = contingency_table(y_true, y_pred)
    assert matched.counts.tolist() == [[7, 1, 2], [1, 8, 1], [1, 3, 6]]
    assert matched.components.tolist() == [2, 0, 1]
    assert matched.classes.tolist() == [0, 1, 2]


def test_the_assignment_is_one_to_one():
    """Both classes have most points in component 0; only one of them may have it."""
    y_true, y_pred = labels_of(np.array([[6, 4], [5, 0]]))
    assert clustering_accuracy(y_true, y_pred) == pytest.approx(9 / 15)
    assert match_components(y_true, y_pred).tolist() == [1, 0]


def test_the_table_printed_in_the_thesis():
    """Table 5.1 of the VMoNF thesis: MNIST digits 0-4, shares of each digit."""
    shares = [
        [0.000602, 0.012432, 0.002807, 0.982555, 0.001604],
        [0.002139, 0.020146, 0.977001, 0.000178, 0.000535],
        [0.000802, 0.952276, 0.011630, 0.007219, 0.028073],
        [0.001558, 0.479455, 0.300682, 0.004284, 0.214021],
        [0.646166, 0.347273, 0.005125, 0.001435, 0.000000],
    ]
    y_true, y_pred = labels_of(np.round(10_000 * np.array(shares)).astype(int))
    assert clustering_accuracy(y_true, y_pred) == pytest.approx(0.754, abs=5e-4)
    assert match_components(y_true, y_pred).tolist() == [4, 2, 1, 0, 3]


def test_more_components_than_classes():
    y_true, y_pred = labels_of(np.array([[0, 1, 5], [4, 2, 0]]))
    assert clustering_accuracy(y_true, y_pred) == pytest.approx(9 / 12)
    assert match_components(y_true, y_pred).tolist() == [1, -1, 0]
    table = contingency_table(y_true, y_pred)
    assert table.components.tolist() == [2, 0, 1]
    assert table.counts.tolist() == [[5, 0, 1], [0, 4, 2]]


def test_fewer_components_than_classes():
    y_true, y_pred = labels_of(np.array([[5, 1], [0, 4], [3, 0]]))
    assert clustering_accuracy(y_true, y_pred) == pytest.approx(9 / 13)
    assert match_components(y_true, y_pred).tolist() == [0, 1]
    assert contingency_table(y_true, y_pred).counts.shape == (3, 2)


def test_points_without_a_class_are_left_out():
    y_true, y_pred = labels_of(TABLE)
    more_true = np.concatenate([y_true, np.full(50, -1)])
    more_pred = np.concatenate([y_pred, np.zeros(50, dtype=int)])
    for metric in (clustering_accuracy, normalized_mutual_info, adjusted_rand):
        assert metric(more_true, more_pred) == metric(y_true, y_pred)
    assert np.array_equal(contingency_table(more_true, more_pred)[0].sum(), 30)


def test_a_component_of_unlabelled_points_keeps_its_column():
    assert contingency_table([0, 1, -1], [0, 1, 2]).counts.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert match_components([0, 1, -1], [0, 1, 2]).tolist() == [0, 1, -1]


def test_mutual_information_and_rand_index_by_hand():
    # Counts [[2, 0], [1, 1]]: H(c) = log 2, H(k) from 3/4 and 1/4.
    y_true, y_pred = [0, 0, 1, 1], [0, 0, 0, 1]
    entropy_k = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    mutual = np.log(2) + entropy_k + 0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)
    expected = 2 * mutual / (np.log(2) + entropy_k)
    assert normalized_mutual_info(y_true, y_pred) == pytest.approx(expected)
    # Pairs together: 2 by class, 3 by component, 1 by both, 6 in all: chance gives 1.
    assert adjusted_rand(y_true, y_pred) == pytest.approx(0.0)
    # Three classes of two against [0, 0, 1, 1, 2, 0]: 2 pairs by both, 3 by class, 4 by component.
    chance = 3 * 4 / 15
    score = adjusted_rand([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 0])
    assert score == pytest.approx((2 - chance) / ((3 + 4) / 2 - chance))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "error", "message"),
    [
        ([0, 1], [0, 1, 1], ValueError, "y_true has 2 labels, y_pred has 3"),
        ([-1, -1], [0, 1], ValueError, "y_true holds no known class"),
        ([], [], ValueError, "y_true holds no known class"),
        ([0, 1], [0, -1], ValueError, "y_pred holds -1, expected labels of at least 0"),
        ([0, -2], [0, 1], ValueError, "y_true holds -2"),
        ([0.5, 1], [0, 1], TypeError, "y_true has dtype float64, expected integers"),
        ([[0, 1]], [0, 1], ValueError, r"y_true has shape \(1, 2\), expected \(n,\)"),
    ],
)
@pytest.mark.parametrize(
    "metric", [clustering_accuracy, match_components, normalized_mutual_info, adjusted_rand]
)
def test_wrong_labels_are_named(metric, y_true, y_pred, error, message):
    with pytest.raises(error, match=message):
        metric(y_true, y_pred)


def test_bits_per_dim():
    assert bits_per_dim(-np.log(2.0), 1) == pytest.approx(1)
    assert bits_per_dim(-np.log(256.0) * 784, 784) == pytest.approx(8)
    assert bits_per_dim(np.log([0.5, 0.25]), 2) == pytest.approx([0.5, 1])
    tensor = bits_per_dim(torch.tensor([-1.0, 2.0]), 3)
    assert tensor.dtype == torch.float32
    assert tensor.tolist() == pytest.approx([1 / (3 * np.log(2)), -2 / (3 * np.log(2))])
    with pytest.raises(ValueError, match="n_dims is 0"):
        bits_per_dim(1.0, 0)


def test_energy_distance_by_hand():
    # E|x - y| = (1 + 3 + 1 + 1) / 4, E|x - x'| = (0 + 2 + 2 + 0) / 4, the same for y.
    statistic, p_value = energy_distance_test([0.0, 2.0], [1.0, 3.0], 50, random_state=0)
    assert statistic == pytest.approx(2 * 6 / 4 - 1 - 1)
    assert 0.3 < p_value <= 1
    # Unequal sizes: E|x - y| = 10.5, E|x - x'| = 0, E|y - y'| = 0.5.
    far = energy_distance_test([0.0], [10.0, 11.0], 50, random_state=0)
    assert far.statistic == pytest.approx(2 * 10.5 - 0.5)
    x = np.arange(20.0)
    assert energy_distance_test(x, x + 100, 50, random_state=0).p_value == pytest.approx(1 / 51)


def test_the_energy_test_keeps_its_level_and_has_power():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(200, 2, 30, 2))
    p_values = [energy_distance_test(x, y, 99, random_state=0).p_value for x, y in draws]
    assert ks_test(p_values, lambda p: p).p_value > 0.01
    assert np.mean(np.array(p_values) <= 0.05) < 0.1
    x, y = rng.normal(size=(2, 300, 2))
    y[:, 1] = 0.8 * y[:, 0] + 0.6 * y[:, 1]
    assert energy_distance_test(x, y, 199, random_state=0).p_value < 0.02


def test_the_energy_test_is_repeatable():
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    first = energy_distance_test(x, y, 50, random_state=1)
    assert first == energy_distance_test(x, y, 50, random_state=1)


def test_ks_by_hand():
    assert ks_test([1.0, 2.0], [1.5, 1.6]).statistic == pytest.approx(0.5)
    x = np.random.default_rng(0).uniform(size=(500, 1))
    assert ks_test(x, lambda u: u).p_value > 0.01
    assert ks_test(x, lambda u: u**1.5).p_value < 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: energy_distance_test(np.ones((3, 2)), np.ones((3, 1))), "x has 2 features, y"),
        (lambda: energy_distance_test([1.0], [2.0], 0), "n_permutations is 0"),
        (lambda: energy_distance_test([1.0, np.inf], [2.0]), "x holds NaN or infinity"),
        (lambda: energy_distance_test([1.0], []), r"y has shape \(0, 1\)"),
        (lambda: ks_test(np.ones((3, 2)), [1.0]), "x has 2 features, expected 1"),
        (lambda: ks_test([1.0], [np.nan]), "reference holds NaN"),
    ],
)
def test_wrong_samples_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
