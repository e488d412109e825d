"""Tests of anabranch.procedures."""
