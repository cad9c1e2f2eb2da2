"""Specs bound together: names resolved against sources and against each other. Nothing here is changed once made."""

from kpiengine.model.model import Model
from kpiengine.model.paths import OutOfReach, Path
from kpiengine.model.source import Catalog, Column, Source, TypeFault
from kpiengine.model.statistics import ModelStatistics

__all__ = ["Catalog", "Column", "Model", "ModelStatistics", "OutOfReach", "Path", "Source", "TypeFault"]
