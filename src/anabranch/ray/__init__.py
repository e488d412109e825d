"""Scoring of datasets of Ray (extra ``ray``): ``import anabranch.ray``."""

from anabranch.ray.scoring import score as score
