"""Tests of anabranch.training."""
