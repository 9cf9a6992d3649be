"""Floor 4: handing over. Handlers that receive events from the outbox and take them elsewhere, and what brings them there.

What must not be here: what an event says (whoever makes it), and the outbox itself (store).
"""
