"""MLPs that see a label."""

import torch

from anabranch.networks import LabelledMLP


def test_all_labels_are_what_each_gives_alone():
    net = LabelledMLP(
        4, 3, 2, (6, 5), activation="tanh", generator=torch.Generator().manual_seed(0)
    )
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    every = net.columns(x)
    assert every.shape == (2, 3, 7)
    for k in range(3):
        one = torch.eye(3)[:, k, None].expand(3, 7)
        torch.testing.assert_close(net.columns(x, one), every[:, k])
        stacked = net.columns(x, one[:, None].expand(3, 5, 7))
        torch.testing.assert_close(stacked, every[:, k, None].expand(2, 5, 7))
    assert not torch.allclose(every[:, 0], every[:, 1])


def test_without_labels_it_is_an_mlp():
    net = LabelledMLP(4, 0, 2, (6, 5))
    x = torch.randn(4, 7)
    expected = x
    for layer in net.hidden:
        expected = torch.relu(layer.columns(expected))
    torch.testing.assert_close(net.columns(x).squeeze(1), net.last.columns(expected))
