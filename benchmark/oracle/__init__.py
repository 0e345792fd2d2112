"""The victim's gradients, computed and counted in another process than the attack's."""
