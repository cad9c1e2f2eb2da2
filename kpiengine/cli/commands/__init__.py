"""One file per command; each is imported when it is called, and its `command` is the click command."""
