"""Tests of anabranch.objectives."""
