"""The work of ``digitkit infer`` on a Ray cluster."""
