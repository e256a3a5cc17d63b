"""What everything stands on: errors, TOML, files, sealing, versions."""
