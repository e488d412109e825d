"""Tests of anabranch.functional."""
