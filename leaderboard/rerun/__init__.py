"""Running a submitted attack again: in a sandbox that holds the observation and nothing else."""
