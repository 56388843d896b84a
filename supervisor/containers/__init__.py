"""Containers: what each is made of, the engine, and the runtime that runs plugins in them."""
