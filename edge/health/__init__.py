"""Health formats: a kit's records as FHIR Observations, CSV or EDF+, for ``mmrphys convert``.

A file is read twice, record by record: once for what must be known beforehand (``survey.py``), once to convert. Nothing
of it is held in memory, however long it is. Only a rate that was ``ok`` becomes a value (``edge/sinks/reading.py``).
"""
