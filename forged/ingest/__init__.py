"""Floor 4: handing over. Handlers that receive events from the outbox and take them elsewhere. Nothing is here yet."""
