"""The parts that a page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Table:
    """A table of texts; `header` may be empty, and `folded` hides the rows behind the caption."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False


@dataclass(frozen=True)
class Strip:
    """Images in a row.

    Attributes:
        caption: What the images are.
        uri: Picture of the images side by side; empty where there is none.
        count: Number of images in the picture.
        room: Number of images that there is room for.
    """

    caption: str
    uri: str
    count: int
    room: int


@dataclass(frozen=True)
class StripRow:
    """The strips of one component side by side."""

    name: str
    strips: Sequence[Strip]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with the text that stands for it."""

    uri: str
    text: str


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own."""

    key: str
    title: str
    paragraphs: Sequence[str]
    tables: Sequence[Table] = field(default_factory=tuple)
    figures: Sequence[go.Figure] = field(default_factory=tuple)
    strips: Sequence[StripRow] = field(default_factory=tuple)
    pictures: Sequence[Picture] = field(default_factory=tuple)
