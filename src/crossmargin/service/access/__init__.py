"""Who may do what: keys, users, sessions, the table of routes and its guard, four eyes, and the log of it all."""
