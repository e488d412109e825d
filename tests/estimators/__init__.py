"""Tests of anabranch.estimators."""
