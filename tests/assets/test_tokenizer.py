"""The embedded tokenizer: any text survives, and the benchmark's words are cheap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rarl.assets import TINY
from rarl.assets.tokenizer import MAX_VOCABULARY, SPECIAL, train_tokenizer
from rarl.data.phantom import SPLITS, load
from rarl.prompting import load_pool
from rarl.prompting import render as render_completion
from rarl.types import Shape

tokenizer = AutoTokenizer.from_pretrained(TINY)


@given(st.text())
def test_any_text_survives(text):
    # A text may spell a special token; then it is that token, in Qwen2-VL's tokenizer as well.
    if not any(token in text for token in SPECIAL):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_the_vocabulary_is_small_and_starts_with_the_special_tokens():
    assert len(tokenizer) <= MAX_VOCABULARY == 2048
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL)) == list(range(len(SPECIAL)))
    assert all(tokenizer(token).input_ids == [i] for i, token in enumerate(SPECIAL))


@pytest.mark.parametrize("tag", ["<think>", " </think>", " <answer>", " </answer>", "<answer>", " <think>"])
def test_tags_are_one_token_and_stay_in_the_text(tag):
    (token,) = tokenizer(tag).input_ids
    assert tokenizer.decode([token], skip_special_tokens=True) == tag


def test_every_word_of_the_benchmark_is_one_token():
    pool = load_pool("default")
    texts = {template.text for template in pool.templates}
    for split in SPLITS:
        for example in load(split, limit=70):
            texts |= {example.question, render_completion(Shape.THINK, example.rationale, example.answer)}
    for text in texts:
        pieces = text.replace("<", " <").split()
        assert len(tokenizer(text).input_ids) <= len(pieces) + sum(text.count(sign) for sign in ".,?:")


def test_the_prompt_is_qwen2_vls_without_a_system_message():
    content = [{"type": "image"}, {"type": "text", "text": "Is it?\nYes."}]
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    assert chat == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Is it?\nYes.<|im_end|>\n<|im_start|>assistant\n"
    )
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    )


def test_the_shipped_tokenizer_is_the_one_that_the_build_trains():
    rebuilt = train_tokenizer(seed=0)
    assert rebuilt.get_vocab() == tokenizer.get_vocab()
    text = "Which <think> unforeseen wording, naïve 12?"
    assert rebuilt(text).input_ids == tokenizer(text).input_ids
