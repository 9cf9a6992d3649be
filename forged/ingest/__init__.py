"""Floor 4: handing over. Handlers that receive events from the outbox and take them elsewhere, and what brings them there.

    base                           the contract of a handler
    delivery, bringing             from the outbox to one handler, again and again; which of several events it cannot take
    webhook, bodies                the handler `webhook`, its signature, and what it sends
    command                        the handler `command`; `surroundings` is what such a program is given of ours
    python                         the handler `python`: `interface` is what owners write, `python_worker` the process that calls
                                   it, `python_letters` what goes between
    postgres                       the handler `postgres`: `postgres_link` speaks, `postgres_rows` and `postgres_sql` say what
    catalog                        the handler `sqlite`, and what finds in it
    file_events                    events as those read them who put them into tables

What must not be here: what an event says (whoever makes it), and the outbox itself (store).
"""
