"""Tuning attacks alike: as many trials, images and evaluations for each, on images that no table uses."""
