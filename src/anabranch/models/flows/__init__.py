"""Flows of vectors."""

from anabranch.models.flows.bnaf import bnaf
from anabranch.models.flows.iaf import iaf
from anabranch.models.flows.maf import maf
from anabranch.models.flows.naf import naf
from anabranch.models.flows.nice import nice
from anabranch.models.flows.nsf import nsf
from anabranch.models.flows.planar import planar
from anabranch.models.flows.radial import radial
from anabranch.models.flows.realnvp import realnvp
from anabranch.models.flows.tabak_turner import tabak_turner

__all__ = [
    "bnaf",
    "iaf",
    "maf",
    "naf",
    "nice",
    "nsf",
    "planar",
    "radial",
    "realnvp",
    "tabak_turner",
]
