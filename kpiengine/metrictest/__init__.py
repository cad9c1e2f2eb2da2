"""Metric tests: rows are given in place of the sources, a query is asked, its rows are compared with those expected."""

from __future__ import annotations

from kpiengine.metrictest.run import OpenProject, TestResult, run_tests

__all__ = ["OpenProject", "TestResult", "run_tests"]
