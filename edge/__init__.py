"""The runtime on the device: cameras in, vitals out. Needs no torch and imports none of the other packages."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""Without it ONNX Runtime 1.32 keeps a device id on disk and sends events, from its import on."""
