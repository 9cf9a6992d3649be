"""XMP sidecars: what is known of a file, in the words that photo programs read, beside what they have written there themselves.

`fields` says which properties, `merging` which of them may change, `reading` what a packet says (our own reader, which believes
nothing), `tool` runs exiftool, `sidecars` is the door. exiftool sees nothing but packets that `reading` has understood, under names
of ours: never bytes or names from a source. What must not be here: where sidecars lie (destination).
"""
