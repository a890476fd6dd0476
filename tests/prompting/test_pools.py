from collections import Counter
from pathlib import Path

import pytest

from rarl.errors import ConfigError
from rarl.prompting import load_pool
from rarl.types import Family, Shape

GOOD = """
[inference]
reasoning = "a"
direct = "b"
[[instruction]]
id = "a"
family = "open-ended"
shape = "think"
text = "Think in <think> </think>, answer in <answer> </answer>."
[[instruction]]
id = "b"
family = "short-form"
shape = "direct"
text = "Answer in <answer> </answer>."
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_pool_holds_three_families_of_short_instructions() -> None:
    pool = load_pool("default")
    assert pool.name == "default"
    assert len(pool.templates) >= 12
    assert Counter(t.family for t in pool.templates) == dict.fromkeys(Family, 5)
    shapes = {family: {t.shape for t in pool.templates if t.family is family} for family in Family}
    assert shapes[Family.SHORT] == {Shape.DIRECT}
    assert shapes[Family.EXPLANATION] == shapes[Family.OPEN_ENDED] == {Shape.THINK, Shape.THINK_AFTER}
    assert max(len(t.text.split()) for t in pool.templates) <= 25
    assert (pool.reasoning.shape, pool.direct.shape) == (Shape.THINK, Shape.DIRECT)


def test_a_user_brings_a_file(tmp_path: Path) -> None:
    pool = load_pool(write(tmp_path, GOOD))
    assert (pool.name, pool.reasoning.id, pool.direct.id) == ("mine", "a", "b")
    assert pool.templates[1].text == "Answer in <answer> </answer>."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("shape =", "shpe =", "instruction 'a': unknown key 'shpe'; did you mean 'shape'?"),
        ('"think"', '"thnk"', "instruction 'a': shape 'thnk' is not allowed; use one of think, direct, think-after"),
        ('"open-ended"', '"open"', "instruction 'a': family 'open' is not allowed"),
        ('id = "a"\n', "", "instruction 1: the key 'id' is missing"),
        ('id = "b"', 'id = "a"', "two instructions have the id 'a'"),
        ('id = "b"', "id = 3", "instruction 3: id must be a text"),
        ("<think> </think>, answer in", "answer in", "text must name the tags <think> </think> <answer> </answer>"),
        ("Think in <think> </think>,", "<answer> </answer> <think> </think>", "in this order"),
        ('"Answer in <answer> </answer>."', '" "', "text must be a text that is not empty"),
        ('reasoning = "a"', 'reasoning = "b"', "inference: reasoning = 'b' has another shape; use one of a"),
        ('direct = "b"', 'direct = "c"', "inference: direct = 'c' is no instruction of this pool; use one of b"),
        ('direct = "b"', 'direct = ["b"]', "is no instruction"),
        ('direct = "b"', "", "inference: the key 'direct' is missing"),
        ("[inference]", "[inferences]", "unknown key 'inferences'; did you mean 'inference'?"),
        ("[inference]", "inference = 3\n[other]", "unknown key 'other'"),
        ("[[instruction]]", "[[", "is not a TOML file"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1) if old != "[[instruction]]" else GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_pool(path)
    text = str(caught.value)
    assert message in text
    assert str(path) in text
    assert "\n" not in text


def test_an_unknown_pool_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match="unknown pool 'defalt'; did you mean 'default'"):
        load_pool("defalt")
    with pytest.raises(ConfigError, match=r"nowhere\.toml does not exist"):
        load_pool("nowhere.toml")


def test_a_file_of_bytes_is_no_pool(tmp_path: Path) -> None:
    path = tmp_path / "image.toml"
    path.write_bytes(b"\x89PNG\xff")
    with pytest.raises(ConfigError, match="is not a TOML file"):
        load_pool(path)


def test_an_instruction_for_each_shape(tmp_path: Path) -> None:
    pool = load_pool("default")
    assert [pool.of(shape).id for shape in Shape] == ["explain-steps", "short-only", "explain-after"]
    with pytest.raises(ConfigError, match="the pool mine has no instruction of the shape 'think-after'"):
        load_pool(write(tmp_path, GOOD)).of(Shape.THINK_AFTER)
