"""Engines: what turns prompts into completions."""

from rarl.engines.native import NativeEngine

__all__ = ["NativeEngine"]
