"""The command `hf-interpreto`. Each subcommand has a file of its own, and imports what is heavy when it runs."""
