"""Files that are no files on a disk: Python streams, sockets, and waiting for them."""
