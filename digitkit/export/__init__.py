"""From a training run to verified ONNX files: the only place, with training, that imports torch."""
