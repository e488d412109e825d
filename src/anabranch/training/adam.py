"""Adam without the compiler that torch's optimizers import for their first step."""

import inspect

import torch
from torch.optim import AdamW


class Adam(AdamW):
    """`torch.optim.AdamW`, the same bits, which does not import ``torch._dynamo``.

    torch wraps some methods of optimizers for those who compile them, and the wrappers import the
    compiler, several seconds of a process whose first fit may take one. We compile models alone:
    here are the methods as they were before they were wrapped.

    Example:
        >>> parameter = torch.nn.Parameter(torch.zeros(1))
        >>> parameter.grad = torch.ones(1)
        >>> Adam([parameter], lr=0.1).step()
        >>> parameter.data
        tensor([-0.1000])
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    state_dict = inspect.unwrap(AdamW.state_dict)
    load_state_dict = inspect.unwrap(AdamW.load_state_dict)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))
