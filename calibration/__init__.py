"""Camera geometry and time offsets (`rig.json`) and clip sets for quantisation. No command lives here yet."""
