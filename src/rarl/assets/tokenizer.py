"""The tiny checkpoint's tokenizer: byte-level BPE trained on the benchmark's own texts and the instructions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rarl.data.phantom.loading import as_example
from rarl.data.phantom.questions import TASKS, draw_item, rationale, wordings
from rarl.data.phantom.scenes import words
from rarl.draws import Draws
from rarl.prompting import ask, load_pool, render

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
MAX_VOCABULARY = 2048
# A token is at most a tag, a word, an option's letter, a digit, a run of signs or a run of white space; a word takes
# the blank before it along. No merge crosses these.
_PIECES = r" ?</?(?:think|answer)>| ?[A-Z]\)| ?\p{L}+(?:-\p{L}+)*| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s"


def corpus(seed: int, n_items: int = 4000) -> Iterator[str]:
    """Prompts and completions of all tasks, wordings, instructions and shapes, drawn at random."""
    pool = load_pool("default")
    for index in range(n_items):
        stream = Draws(seed).at("tokenizer", index).stream()
        task = TASKS[index % len(TASKS)]
        texts = [text for stratum in wordings()[task].values() for text in stratum]
        item = draw_item(stream, task, texts, list(words().modalities))
        prompt = ask(as_example(item, str(index)), stream.choice(pool.templates))
        yield prompt.messages[0]["content"][-1]["text"]
        yield render(prompt.shape, rationale(item.scene), item.answer)


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """The tokenizer, with Qwen2-VL's special tokens at the start of the vocabulary and its kind of chat template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        min_frequency=8,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[token for token in SPECIAL if token not in ("<|im_end|>", "<|endoftext|>")],
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
        chat_template=Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8"),
    )
