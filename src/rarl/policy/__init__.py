"""The model: loading, prompts and images in, log-probabilities out."""

from rarl.policy.policy import Policy

__all__ = ["Policy"]
