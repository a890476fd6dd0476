"""What came of a run, for people: tables in the terminal, and one HTML file that needs no network."""

from rarl.reporting.comparing import comparison_notes, comparison_tables, comparison_text
from rarl.reporting.conclusions import of_guards
from rarl.reporting.page import write_report
from rarl.reporting.quality import quality_tables
from rarl.reporting.results import Result, read_results
from rarl.reporting.tables import (
    calibration_table,
    dataset_tables,
    headline_table,
    scored_table,
    step_table,
    summary_table,
)

__all__ = [
    "Result",
    "calibration_table",
    "comparison_notes",
    "comparison_tables",
    "comparison_text",
    "dataset_tables",
    "headline_table",
    "of_guards",
    "quality_tables",
    "read_results",
    "scored_table",
    "step_table",
    "summary_table",
    "write_report",
]
