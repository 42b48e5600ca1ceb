"""Records of a kit against a reference device: the command ``mmrphys validate``.

``record_file`` and ``reference_csv`` read, ``course`` averages the reference over a window, ``clock_offset`` finds how
the two clocks differ, ``compare`` makes the figures (with ``edge/metrics.py``), ``words`` says them, ``report`` and
``page`` write them down.
"""
