"""The only post-processing: waveforms to rates, quality, states."""
