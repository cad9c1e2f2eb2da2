"""The command line `kpi`: parse, call the facade, write the result, map errors to exit codes."""
