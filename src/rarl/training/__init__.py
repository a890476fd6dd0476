"""Training: the GRPO step, the supervised step, and the loop around either."""
