"""Tests of anabranch.transforms."""
