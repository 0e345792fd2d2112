"""The command line: one file for each command, with `run(arguments) -> exit status`."""
