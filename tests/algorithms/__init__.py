"""Tests of anabranch.algorithms."""
