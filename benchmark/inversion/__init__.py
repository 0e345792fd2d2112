"""What attacks are made of: the simulated client, matching losses, regularisers, projections,
schedules, label inference, and keeping the best iterate."""
