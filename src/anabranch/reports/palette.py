"""Colours and marks of components, told apart by colour-blind readers too.

The eight colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008),
https://jfly.uni-koeln.de/color/, ordered so that small mixtures get the strongest contrasts.
"""

import numpy as np

OKABE_ITO = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # bluish green
    "#D55E00",  # vermillion
    "#CC79A7",  # reddish purple
    "#56B4E9",  # sky blue
    "#F0E442",  # yellow
    "#000000",  # black
)
# Beyond eight components a colour comes back with the next symbol (plotly, matplotlib) and dash.
SYMBOLS = ("circle", "triangle-up", "square", "diamond", "x", "star", "triangle-down", "cross")
MARKERS = ("o", "^", "s", "D", "X", "*", "v", "P")
DASHES = ("solid", "dash", "dot", "dashdot")


def color(component: int) -> str:
    """Give the colour of a component as `#rrggbb`.

    >>> color(0), color(8) == color(0)
    ('#0072B2', True)
    """
    return OKABE_ITO[component % len(OKABE_ITO)]


def symbol(component: int) -> str:
    """Give plotly's marker symbol of a component; it changes with every eighth component.

    >>> symbol(7), symbol(8)
    ('circle', 'triangle-up')
    """
    return SYMBOLS[component // len(OKABE_ITO) % len(SYMBOLS)]


def marker(component: int) -> str:
    """Give matplotlib's marker of a component; it changes with every eighth component."""
    return MARKERS[component // len(OKABE_ITO) % len(MARKERS)]


def dash(component: int) -> str:
    """Give plotly's dash of a component's line; it changes with every eighth component."""
    return DASHES[component // len(OKABE_ITO) % len(DASHES)]


def rgb(component: int) -> np.ndarray:
    """Give the colour of a component as three numbers in [0, 255], shape (3,).

    >>> rgb(0)
    array([  0., 114., 178.])
    """
    text = color(component)
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)


def region_colors(posterior: np.ndarray) -> np.ndarray:
    """Colour points by the argmax of a posterior, the paler the less certain it is.

    With confidence t = (max_c p(c|x) - 1/K) / (1 - 1/K) in [0, 1], the colour of the most
    probable component is mixed with white: white at t = 0, a clear tint at t = 1.

    Args:
        posterior: Probabilities of K components, shape (..., K).

    Returns:
        Colours of type uint8, shape (..., 3).

    >>> region_colors(np.array([[0.5, 0.5], [0.0, 1.0]]))[0]
    array([255, 255, 255], dtype=uint8)
    """
    n_components = posterior.shape[-1]
    winner = posterior.argmax(axis=-1)
    highest = posterior.max(axis=-1)
    # One component is certain everywhere; its confidence is 0/0 by the formula.
    span = 1 - 1 / n_components
    confidence = (highest - 1 / n_components) / span if span > 0 else np.ones_like(highest)
    tint = 0.45 * np.clip(confidence, 0, 1)[..., None]
    colors = np.stack([rgb(c) for c in range(n_components)])[winner]
    return np.round(255 * (1 - tint) + colors * tint).astype(np.uint8)
