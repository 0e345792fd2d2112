"""Training victims here."""
