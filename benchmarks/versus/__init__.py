"""The two sides of vs_trl.py, and what they share: the case, the checkpoint, the meters."""
