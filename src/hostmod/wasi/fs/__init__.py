"""Systems of files: the host's, those in memory, and several under one root."""
