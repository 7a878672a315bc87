"""The machine, files written whole, folders, hashes, child processes, systemd."""
