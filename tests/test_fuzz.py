import pytest

import fuzzing


@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_what_is_damaged_is_used_rightly_or_refused_in_one_line(kind):
    fuzzing.fuzz(kind, 17, seeded=True)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_so_is_much_more_of_it(kind):
    fuzzing.fuzz(kind, 450)
