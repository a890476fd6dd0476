"""What GRPO computes, as pure functions: advantages, losses, and the record of tensors they meet in."""
