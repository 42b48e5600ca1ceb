"""From a checkpoint to graphs that match it, and from graphs to a bundle."""

import edge  # noqa: F401 - before ONNX Runtime is imported: it silences its telemetry
