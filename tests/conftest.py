"""For every test: no network, one thread a worker, nothing of the user's, and no stop watch on property tests."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker has this from the process that started it
    # Matplotlib's list of fonts is as good there as anywhere, and takes seconds to make.
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", str(home / "matplotlib"))
    caches = tempfile.TemporaryDirectory(prefix="rarl-tests-", ignore_cleanup_errors=True)
    os.environ["XDG_CACHE_HOME"] = caches.name

from hypothesis import settings

settings.register_profile("rarl", deadline=None, print_blob=True)  # a busy machine is no failure
settings.load_profile("rarl")
