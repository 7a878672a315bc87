"""The job of ``digitkit infer``: from sources through the reader to sinks."""
