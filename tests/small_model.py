"""A Qwen2-VL of random weights, small but with everything that may go wrong: GQA, M-RoPE, two images, odd sizes."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from rarl.algo.batch import GroupBatch
from rarl.config import Lora
from rarl.policy import Policy
from rarl.policy.processor import Processor
from rarl.prompting import ask, load_pool
from rarl.types import Example, Prompt

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"]
SPECIAL += ["<|image_pad|>", "<|video_pad|>"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def processor() -> Processor:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["<think> the lesion is on the left </think> <answer> yes </answer>"] * 3, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=SPECIAL,
        chat_template=TEMPLATE,
    )
    return Processor(fast, Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=448 * 448), max_vision_tokens=64)


TEXT = {
    "vocab_size": 320,  # more rows than tokens, as in the real checkpoints
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    "tie_word_embeddings": True,
    "bos_token_id": None,
}
VISION = {"depth": 2, "num_heads": 2, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
QWEN2 = {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
QWEN2_5 = {
    "hidden_size": 32,
    "out_hidden_size": 64,
    "intermediate_size": 48,
    "window_size": 56,
    "fullatt_block_indexes": [1],
}


def network(seed: int = 0, kind: str = "qwen2_vl") -> Any:
    """A random network of either kind, with the token ids of `processor`."""
    ids = processor().tokenizer.convert_tokens_to_ids
    config_class, model_class, vision = {
        "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration, QWEN2),
        "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, QWEN2_5),
    }[kind]
    config = config_class(
        text_config={**TEXT, "eos_token_id": ids("<|im_end|>"), "pad_token_id": ids("<|endoftext|>")},
        vision_config={**VISION, **vision},
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    model = model_class(config)
    model.generation_config.eos_token_id = ids("<|im_end|>")
    with torch.no_grad():  # sharper than the initialisation, so that a wrong position or mask shows
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    return model.requires_grad_(False).eval()


def policy(seed: int = 0, lora_scale: float = 0.2, kind: str = "qwen2_vl") -> Policy:
    """With a random, non-zero LoRA B: at B = 0 a comparison of gradients is blind."""
    built = Policy(network(seed, kind), processor(), Lora(r=4, alpha=8))
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in built.trainable():
        parameter.data = torch.randn(parameter.shape, generator=generator) * lora_scale
    return built


@dataclass(frozen=True)
class Noise:
    """An image of random pixels."""

    width: int
    height: int
    seed: int

    @property
    def name(self) -> str:
        return f"noise-{self.width}x{self.height}-{self.seed}"

    def read(self) -> Image.Image:
        generator = torch.Generator().manual_seed(self.seed)
        pixels = torch.randint(0, 256, (self.height, self.width, 3), generator=generator, dtype=torch.uint8)
        return Image.fromarray(pixels.numpy())


def prompt(question: str = "Is there a lesion?", images: int = 1, seed: int = 0) -> Prompt:
    sources = tuple(Noise(84 + 56 * i, 56 + 28 * seed, seed * 10 + i) for i in range(images))
    example = Example(f"e{seed}", f"e{seed}", sources, question, "yes")
    return ask(example, load_pool("default").reasoning)


def batch() -> GroupBatch:
    """Three prompts of different lengths with one, two and no images; completions of 1 to 9 tokens."""
    prompts = (
        prompt("Is there a lesion?", images=1, seed=0),
        prompt("What is the diagnosis, in a question that is longer?", images=2, seed=1),
        prompt("Is it large?", images=0, seed=2),
    )
    lengths_B = torch.tensor([9, 1, 5, 2, 7, 3])
    generator = torch.Generator().manual_seed(3)
    ids_BT = torch.randint(8, 290, (6, 9), generator=generator)
    return GroupBatch(
        prompts, (3, 2, 1), ids_BT, torch.arange(9) < lengths_B[:, None], torch.zeros(6), torch.zeros(6, 9)
    )
