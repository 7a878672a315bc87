"""The readings of a stream: frames that did not change, digits tracked, events."""
