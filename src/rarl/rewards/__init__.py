"""What a completion is paid for: five rewards, each in TRL's calling convention, and how they become one total."""

from rarl.rewards.calling import RewardLog
from rarl.rewards.columns import Row, columns, rowwise
from rarl.rewards.combine import Scorer
from rarl.rewards.files import ScoredFile, score_file
from rarl.rewards.probing import Probe, probe

__all__ = ["Probe", "RewardLog", "Row", "ScoredFile", "Scorer", "columns", "probe", "rowwise", "score_file"]
