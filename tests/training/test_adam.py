"""The optimizer: torch's bits, without torch's compiler."""

import sys

import torch

from anabranch.training.adam import Adam


def trained(kind):
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = kind([{"params": [parameter]}], 0.1, weight_decay=0.01, fused=True)
    for _ in range(5):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    return parameter.detach()


def test_the_steps_are_those_of_torch(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch._dynamo", None)  # whoever imports it fails
        found = trained(Adam)
    torch.testing.assert_close(found, trained(torch.optim.AdamW), atol=0, rtol=0)
