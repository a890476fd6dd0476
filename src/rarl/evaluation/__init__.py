"""What a model answers on a split, how good that is, and how sure one can be."""

from rarl.evaluation.comparison import Comparison, compare
from rarl.evaluation.protocols import values
from rarl.evaluation.records import read_records
from rarl.evaluation.run import evaluate
from rarl.evaluation.statistics import estimate, paired_difference
from rarl.evaluation.summary import Summary, change

__all__ = [
    "Comparison",
    "Summary",
    "change",
    "compare",
    "estimate",
    "evaluate",
    "paired_difference",
    "read_records",
    "values",
]
