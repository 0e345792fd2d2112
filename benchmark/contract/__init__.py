"""What every attack promises, as checks that run on any attack, ours or anyone's."""
