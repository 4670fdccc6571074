"""The `world-models` command, one file a subcommand."""
