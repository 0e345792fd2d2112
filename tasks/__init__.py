"""The victim's side: datasets, models, clients, defenses and what an attacker may see of them."""
