"""What holds for every test: no network, one thread a worker, and no stop watch on property tests."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ["HF_HUB_OFFLINE"] = "1"

from hypothesis import settings

settings.register_profile("rarl", deadline=None, print_blob=True)  # a busy machine is no failure
settings.load_profile("rarl")
