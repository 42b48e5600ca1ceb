"""Set-up: from what is plugged in to a checked ``kit.toml``.

``steps`` is the conversation, ``ask`` who answers, ``rate`` the frame rate that a camera really reaches, ``links`` the
brokers on this machine, ``kit_file`` the file with its comments.
"""
