"""What attacks, priors, datasets, models, defenses, metrics and label rules promise, as checks."""
