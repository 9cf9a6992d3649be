"""Floor 3: what the owner asked for. TOML text becomes validated, frozen policies of floor 1; every mistake is told at once.

What must not be here: anything that acts on the configuration, and any state but "the current one".

    schema, schema_extras          every key: its type, its default, its reason; `values` are the types, `address`, `cron` and
                                   `timetable` those that are a little language
    load, read, lines, checks      from the file to validated tables; where a key stands; what must fit together
    mistakes                       what is wrong, in our words
    build, presets, programs       from tables to policies, with what a type of target and the programs behind it give
    surroundings, secrets          what environment, user and folder say; secrets, read when they are used
    adhoc                          a target that stands in no file
    store                          the current configuration
    effective, json_schema         every key as it holds; the format, for editors
"""
