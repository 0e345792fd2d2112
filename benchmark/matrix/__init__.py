"""From a configuration to cells."""
