import pytest

import engine_contract
from rarl.registry import engines


@pytest.mark.parametrize("check", engine_contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", engines.names())
def test_a_registered_engine_keeps_the_contract(name, check):
    check(engines.get(name))
