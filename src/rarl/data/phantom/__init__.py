"""The embedded benchmark: medical phantoms, questions about them, and everything that is true of them.

Procedural, so nothing is downloaded and every fact is known; deterministic from (seed, split, index).
"""

from rarl.data.phantom.loading import SPLITS, load
from rarl.data.phantom.rendering import PhantomImage, View

__all__ = ["SPLITS", "PhantomImage", "View", "load"]
