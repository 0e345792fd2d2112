"""Verification: every number computed again from the submitted images, and what looks odd, named."""
