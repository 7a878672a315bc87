"""Reliable latency measurements, and what to run on a device."""
