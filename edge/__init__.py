"""The runtime on the device: cameras in, vitals out. Needs no torch and imports none of the other packages."""
