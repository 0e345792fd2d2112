"""Verification: every number is computed again from the submitted images, and anything odd is named."""
