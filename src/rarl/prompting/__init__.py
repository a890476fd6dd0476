"""What the model is asked, and what its completions may look like."""

from rarl.prompting.asking import ask, instruct
from rarl.prompting.pools import Pool, load_pool
from rarl.prompting.shapes import Parsed, parse, render

__all__ = ["Parsed", "Pool", "ask", "instruct", "load_pool", "parse", "render"]
