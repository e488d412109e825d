"""Tests of anabranch.distributions."""
