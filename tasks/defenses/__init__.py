"""Defenses that a client may apply to its update, and what an attacker makes of them."""
