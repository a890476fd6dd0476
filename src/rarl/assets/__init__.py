"""The embedded tiny checkpoint, and what rebuilds it (`python -m rarl.assets.build`)."""

from pathlib import Path

TINY = (
    Path(__file__).parent / "tiny"
)  # a plain transformers checkpoint: Qwen2-VL's architecture, 1.6 million parameters
