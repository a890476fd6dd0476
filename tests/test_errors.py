import pickle

import pytest

from rarl.errors import ConfigError, GuardError, RarlError, UnscoredError


@pytest.mark.parametrize("error", [RarlError("x"), ConfigError("a key"), GuardError("y"), UnscoredError("z", {1: 2})])
def test_errors_come_back_from_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exit_code) == (type(error), str(error), error.exit_code)
    assert getattr(again, "found", None) == getattr(error, "found", None)
