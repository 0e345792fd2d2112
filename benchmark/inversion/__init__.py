"""What attacks are made of: the simulated client, matching losses, penalties, projections,
schedules, label inference, and keeping the best iterate."""
