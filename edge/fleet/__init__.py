"""Many kits at once: a table of those that are there (``fleet``), and made-up ones for a real broker (``simulate``)."""
