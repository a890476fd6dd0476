"""What a completion is paid for: five rewards, each in TRL's calling convention, and how they become one total."""

from rarl.rewards.calling import RewardLog
from rarl.rewards.columns import Row, columns, rowwise
from rarl.rewards.combine import Scorer

__all__ = ["RewardLog", "Row", "Scorer", "columns", "rowwise"]
