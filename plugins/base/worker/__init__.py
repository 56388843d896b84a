"""The worker: the sandboxed process that runs commands, and the server's end of it."""
