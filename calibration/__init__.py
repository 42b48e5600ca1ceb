"""How an RGB and a thermal camera lie to each other: ``mmrphys calibrate rig`` writes ``rig.json``."""
