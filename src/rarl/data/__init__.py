"""Data sets: loading by name, images, leak-free splits, and the sets that come with the package."""

from rarl.data.images import BytesImage, FileImage
from rarl.data.loading import Dataset, load_dataset

__all__ = ["BytesImage", "Dataset", "FileImage", "load_dataset"]
