"""The command line: one file a command; options to a configuration, a call, and what is shown."""
