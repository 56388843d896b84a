"""The API socket: what front ends can ask, and how they are told what changed."""
