"""The audit log: one SQLite file, written by one thread, chained by hashes, read by anybody who may."""
