"""Tuning attacks alike: with equal trials, images and evaluations, on images that no table uses."""
