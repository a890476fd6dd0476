"""The embedded checkpoint: small, plain, and looking at the picture."""

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoTokenizer, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from rarl.assets import TINY
from rarl.assets.lessons import Classroom, Lesson
from rarl.assets.warmstart import see, speech_loss
from rarl.data.phantom import load
from rarl.data.phantom.questions import TASKS, draw_item, wordings
from rarl.data.phantom.scenes import words
from rarl.draws import Draws
from rarl.prompting import load_pool


@pytest.fixture(scope="module")
def model():
    return AutoModelForImageTextToText.from_pretrained(TINY, dtype=torch.float32).eval()


def lessons(n):
    for i in range(n):
        task = TASKS[i % len(TASKS)]
        item = draw_item(Draws(1).at("look", i).stream(), task, wordings()[task]["warm"], list(words().modalities))
        yield Lesson(item, load_pool("default").reasoning, item.scene, item.answer)


def test_it_is_small(model):
    assert isinstance(model, Qwen2VLForConditionalGeneration)
    assert sum(parameter.numel() for parameter in model.parameters()) <= 3_000_000
    assert (TINY / "model.safetensors").stat().st_size <= 8 * 2**20
    assert sum(file.stat().st_size for file in TINY.iterdir()) <= 8 * 2**20


def test_weights_are_half_precision_and_finite():
    with safe_open(TINY / "model.safetensors", framework="pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118 (no mapping)
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in tensors)


def test_generation_ends_with_the_end_of_turn(model):
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize("pixels", [56, 84, 448])
def test_phantoms_pass_the_image_processor_at_their_own_size(pixels):
    image = next(load("test", pixels=pixels)).images[0].read()
    out = Qwen2VLImageProcessorPil.from_pretrained(TINY)(images=[image], return_tensors="pt")
    assert out["image_grid_thw"].tolist() == [[1, pixels // 14, pixels // 14]]


def test_it_sees_the_image(model):
    """Gold completions are far likelier beside their own picture than beside another one."""
    batch = Classroom(AutoTokenizer.from_pretrained(TINY)).batch(list(lessons(42)))
    with torch.no_grad():
        features = see(model, batch)
        own, other = (speech_loss(model, f, batch).item() for f in (features, features.roll(1, 0)))
    assert own < 0.6
    assert other > 2 * own


def test_it_answers_in_the_shape_asked_for(model):
    """Greedy through plain transformers: what comes is a completion, ended by the end token."""
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    classroom = Classroom(tokenizer)
    (lesson,) = lessons(1)
    batch = classroom.batch([lesson])
    prompt = tokenizer(classroom.texts(lesson)[0], return_tensors="pt").input_ids
    out = model.generate(
        input_ids=prompt,
        pixel_values=batch.pixel_values,
        image_grid_thw=batch.grid_B3,
        mm_token_type_ids=(prompt == model.config.image_token_id).int(),
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=64,
    )
    text = tokenizer.decode(out[0, prompt.shape[1] :])
    assert text.startswith("<think> This is a")
    assert text.endswith("</answer><|im_end|>")
