"""The roof: a throw-away source that makes real pictures and films, and the tour `forged demo` gives of them."""
