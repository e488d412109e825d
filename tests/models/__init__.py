"""Tests of anabranch.models."""
