from pathlib import Path

import pytest

import small_model
from rarl.errors import ModelError
from rarl.policy.processor import Processor


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    small_model.processor().save(tmp_path)
    prompt = small_model.prompt(images=2)
    loaded = Processor.load(str(tmp_path), max_vision_tokens=64)
    assert loaded.prompt_ids(prompt, [3, 2]) == small_model.processor().prompt_ids(prompt, [3, 2])


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}{{ m['role'] }}", "cannot be used: TemplateSyntaxError"),
        ("{{ raise_exception('no images\nhere') }}", "cannot be used: TemplateError: no images here$"),
        ("{{ messages[0]['role'] + 1 }}", "cannot be used: TypeError"),
        ("{{ messages[0]['role'] }}", r"writes <\|image_pad\|> 0 times for one image"),
    ],
)
def test_a_chat_template_that_cannot_be_used_is_told_at_once(tmp_path: Path, template: str, message: str) -> None:
    small_model.processor().save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=message) as caught:
        Processor.load(str(tmp_path), max_vision_tokens=64)
    assert "\n" not in str(caught.value)
