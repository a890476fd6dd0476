"""What a user lists of DICOM headers, and nothing else of them; a patient's id never as it stands there."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

from rarl.data import dicom
from rarl.data.archives import member
from rarl.data.images import BytesImage, FileImage, ZippedImage, head_of
from rarl.errors import DataError
from rarl.types import ImageSource

SALT = "RARL_PATIENT_SALT"  # not a setting: a run's folder would keep it


@lru_cache(maxsize=4096)
def said_by(image: ImageSource, keyword: str) -> str | None:
    """What the header says under a keyword of the DICOM dictionary; None if nothing, or if the file is none of DICOM.

    Errors: DataError.
    """
    source: Path | io.BytesIO
    if isinstance(image, FileImage):
        source, name = image.path, str(image.path)
    elif isinstance(image, ZippedImage):
        source, name = member(image.archive, image.member), f"{image.archive}/{image.member}"
    elif isinstance(image, BytesImage):
        source, name = io.BytesIO(image.data), image.name
    else:
        return None
    return dicom.said(source, name, keyword) if dicom.is_dicom(head_of(source)) else None


def pseudonym(patient: str) -> str:
    """A patient's id as a hash that nobody can compute without the salt. DataError if the environment has none."""
    salt = os.environ.get(SALT, "")
    if not salt:
        raise DataError(f"data.options.tags names the patient: set {SALT} to a secret text, the same one each time")
    return dicom.hashed(patient, salt)
