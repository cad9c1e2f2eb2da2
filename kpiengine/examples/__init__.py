"""Example projects that ship with kpiengine.

Each is a folder of package data (`sales/`: kpi.yaml, metrics, README) and a module `sales_data` whose
`write(folder, scale)` makes its rows on the spot. Importing this package is cheap.
"""

from __future__ import annotations

EXAMPLES = ("sales", "forush")
"""The names of the examples."""
