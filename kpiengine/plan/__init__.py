"""From a query and the model to ordered steps. No dialect and no statement text here: `kpiengine.sql` writes those."""

from kpiengine.plan.planner import make_plan
from kpiengine.plan.steps import Output, OutputColumn, Plan, Step

__all__ = ["Output", "OutputColumn", "Plan", "Step", "make_plan"]
