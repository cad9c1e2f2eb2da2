"""`python -m kpiengine.cli` is `kpi`."""

from kpiengine.cli.main import main

main()
