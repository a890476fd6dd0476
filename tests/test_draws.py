import hashlib
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from rarl.draws import Draws

names = st.one_of(st.integers(), st.text(max_size=8))


def test_a_stream_is_the_hash_of_seed_and_names():
    digest = hashlib.blake2b(b"(3, 'rollout', 7)", digest_size=8).digest()
    assert Draws(3).at("rollout", 7).integer() == int.from_bytes(digest, "big") // 2


def test_the_same_name_draws_the_same_numbers_again():
    draws = Draws(0).at("template", "q1")
    assert [draws.stream().random() for _ in range(3)] == [draws.stream().random()] * 3
    assert draws.at("x").integer() == Draws(0, ("template", "q1", "x")).integer()


@given(st.integers(0, 2**40), st.lists(names, max_size=3), names, names)
def test_other_names_and_seeds_draw_other_numbers(seed, path, a, b):
    here = Draws(seed).at(*path)
    assert 0 <= here.integer() < 2**63
    assert here.integer() != here.at(a).integer()
    assert here.integer() != Draws(seed + 1).at(*path).integer()
    if (type(a), a) != (type(b), b):
        assert here.at(a).integer() != here.at(b).integer()


def test_a_number_is_not_its_text_and_names_do_not_run_together():
    assert Draws(0).at(1).integer() != Draws(0).at("1").integer()
    assert Draws(0).at("a", "bc").integer() != Draws(0).at("ab", "c").integer()


def test_another_process_draws_the_same():
    code = "from rarl.draws import Draws; print(Draws(5).at('é', -1).integer())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == Draws(5).at("é", -1).integer()


def test_streams_look_uniform():
    values = [Draws(0).at("row", row).stream().random() for row in range(2000)]
    assert abs(sum(values) / 2000 - 0.5) < 0.03  # standard error 0.0065
    assert abs(sum(value < 0.1 for value in values) / 2000 - 0.1) < 0.03
