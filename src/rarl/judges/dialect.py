"""A request as servers take it: they speak one protocol, but differ in which of its parameters they know."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from rarl.config import JudgeSection
from rarl.judges.replies import SCHEMA
from rarl.judges.sheets import Sheet
from rarl.types import ImageSource

LONGEST_SIDE = 2048  # pixels of an image that is sent; larger ones are scaled down
_FORMATS: Sequence[dict[str, Any]] = (
    {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}},
    {"type": "json_object"},
    {},  # none is sent: the instructions alone ask for JSON
)
_OF_FORMATS = ("response_format", "json_schema", "json_object", "structured output", "grammar")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Which parameters are sent. It starts with all of them and leaves out what a server refuses."""

    format: int = 0
    limit: str = "max_tokens"
    temperature: bool = True

    def request(self, sheet: Sheet, settings: JudgeSection) -> dict[str, Any]:
        """The parameters of a chat completion."""
        pictures = [{"type": "image_url", "image_url": {"url": _url(image)}} for image in sheet.images]
        content = [{"type": "text", "text": sheet.user}, *pictures] if pictures else sheet.user
        request: dict[str, Any] = {
            "model": settings.model,
            "messages": [{"role": "system", "content": sheet.system}, {"role": "user", "content": content}],
            self.limit: settings.max_tokens,
        }
        if self.temperature:
            request["temperature"] = settings.temperature
        if form := _FORMATS[self.format]:
            request["response_format"] = form
        return request

    def plainer(self, complaint: str, guess: bool) -> Dialect | None:
        """Without the parameter that a server's complaint names; None where there is nothing to leave out.

        `guess`: where none is named, the format of the reply is taken to be it.
        """
        complaint = complaint.lower()
        if "max_completion_tokens" in complaint and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if "temperature" in complaint and self.temperature:
            return replace(self, temperature=False)
        if self.format + 1 < len(_FORMATS) and (guess or any(word in complaint for word in _OF_FORMATS)):
            return replace(self, format=self.format + 1)
        return None


def _url(source: ImageSource) -> str:
    """The pixels alone, as PNG: no name, no date, no other tag of the file goes along."""
    image = source.read()
    pixels = Image.new(image.mode, image.size)
    pixels.paste(image)
    pixels.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    pixels.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
