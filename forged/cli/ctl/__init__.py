"""The commands of forgectl, each with its rendering. They ask the daemon and tell its answer; nothing is decided here.

Loaded for one command at a time: no module here imports asyncio, pydantic or (outside of a function) rich. For the same reason the
shapes of the answers (forged.model.rpc) are imported for type checking only: typing_extensions alone takes 20 ms to load.
"""
