"""From clips to a checkpoint: models, losses, data, the training loop. The only home of torch modules."""

import edge  # noqa: F401 - before ONNX Runtime is imported: it silences its telemetry
