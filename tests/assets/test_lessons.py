"""The warm start's tensors are the ones that transformers and the benchmark would make."""

import pytest
import torch
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from rarl.assets.architecture import build_image_processor, build_model
from rarl.assets.curriculum import faulty, gold
from rarl.assets.lessons import ANSWER_WEIGHT, Classroom, cell_labels, patchify
from rarl.assets.tokenizer import train_tokenizer
from rarl.assets.warmstart import see, speech_loss
from rarl.data.phantom.questions import rationale
from rarl.data.phantom.rendering import PhantomImage, render
from rarl.data.phantom.scenes import Scene
from rarl.draws import Draws
from rarl.prompting import parse

SCENE = Scene("xray", 1, zones=("upper", "lower"), side="right", size="large", tone="dark")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(seed=0)


@pytest.fixture(scope="module")
def batch(tokenizer):
    return Classroom(tokenizer).batch([gold(Draws(0).at(i)) for i in range(6)])


def test_patches_are_those_of_the_image_processor():
    scenes = [SCENE, Scene("fundus", 2)]
    out = build_image_processor()(images=[PhantomImage("p", s).read() for s in scenes], return_tensors="pt")
    pixel_values, grid = patchify([render(scene) for scene in scenes])
    assert torch.allclose(pixel_values, out["pixel_values"], atol=1e-5)
    assert torch.equal(grid, out["image_grid_thw"])
    assert isinstance(build_image_processor(), Qwen2VLImageProcessorPil)


def test_positions_are_those_of_the_model(tokenizer, batch):
    model = build_model(tokenizer, seed=0)
    is_image = batch.input_ids_BT == model.config.image_token_id
    expected, _ = model.model.get_rope_index(
        batch.input_ids_BT, is_image.int(), batch.grid_B3, attention_mask=batch.mask_BT
    )
    real = batch.mask_BT.bool()
    assert torch.equal(batch.positions_3BT[:, real], expected[:, real])


def test_the_loss_is_that_of_the_plain_model(tokenizer, batch):
    """The same weighted cross-entropy from the logits of the model's own forward."""
    model = build_model(tokenizer, seed=0)
    is_image = (batch.input_ids_BT == model.config.image_token_id).int()
    logits = model(
        input_ids=batch.input_ids_BT,
        attention_mask=batch.mask_BT,
        pixel_values=batch.pixel_values,
        image_grid_thw=batch.grid_B3,
        mm_token_type_ids=is_image,
    ).logits
    picked = logits[:, :-1].log_softmax(-1).gather(-1, batch.input_ids_BT[:, 1:, None])[..., 0]
    expected = -(picked * batch.weights_BT[:, 1:]).sum() / batch.weights_BT[:, 1:].sum()
    assert speech_loss(model, see(model, batch), batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_only_completions_are_learnt_and_answers_more(tokenizer, batch):
    for row in range(6):
        learnt = batch.input_ids_BT[row][batch.weights_BT[row] > 0]
        lesson = gold(Draws(0).at(row))
        assert tokenizer.decode(learnt) == Classroom(tokenizer).texts(lesson)[1]
        heavy = batch.input_ids_BT[row][batch.weights_BT[row] == ANSWER_WEIGHT]
        assert tokenizer.decode(heavy).strip() == lesson.answer


def test_prompts_are_those_used_later(tokenizer):
    lesson = gold(Draws(0).at(3))
    prompt = Classroom(tokenizer).texts(lesson)[0]
    assert prompt.count("<|image_pad|>") == 9
    assert lesson.item.question in prompt
    assert prompt.endswith(f"\n{lesson.template.text}<|im_end|>\n<|im_start|>assistant\n")


def test_cells_point_at_the_lesions():
    # Rows are upper, middle, lower; columns left, centre, right; dark and large is the fourth kind.
    assert cell_labels(SCENE) == [0, 0, 4, 0, 0, 0, 0, 0, 4]
    assert cell_labels(Scene("ct", 1)) == [0] * 9


def test_gold_lessons_are_true_and_avoid_target_wordings():
    for i in range(100):
        lesson = gold(Draws(0).at(i))
        assert lesson.told == lesson.item.scene
        assert lesson.answer == lesson.item.answer


def test_faulty_lessons_hold_together(tokenizer):
    """Reasoning and picture may differ, but what is taught still has the shape asked for."""
    classroom = Classroom(tokenizer)
    told = 0
    for i in range(200):
        lesson = faulty(Draws(0).at(i))
        completion = classroom.texts(lesson)[1].removesuffix("<|im_end|>")
        parsed = parse(completion, lesson.template.shape)
        assert parsed.well_formed
        assert parsed.answer == lesson.answer
        if lesson.template.shape.reasons:
            assert parsed.reasoning == rationale(lesson.told)
        told += lesson.told != lesson.item.scene
    assert 20 < told < 180
