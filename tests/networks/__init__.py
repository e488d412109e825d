"""Tests of anabranch.networks."""
