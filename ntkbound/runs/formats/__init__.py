"""How is a table of somebody's own stored? One module a format; `runs.tables` chooses."""
