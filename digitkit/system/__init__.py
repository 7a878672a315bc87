"""The machine and its operating system: conditions, files, folders, child processes, systemd."""
