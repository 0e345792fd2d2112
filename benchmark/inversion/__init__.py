"""The parts of attacks.

The simulated client, matching losses, penalties, projections, schedules, label inference, and keeping the
best iterate.
"""
