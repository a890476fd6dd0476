"""Both ways: the rewards inside TRL's own trainer, and TRL's own rewards inside rarl."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

import rarl
import small_model
from rarl.config import RunConfig
from rarl.registry import rewards as registry
from rarl.rewards import Scorer, columns
from rarl.rewards.columns import text_of

trl = pytest.importorskip("trl", reason="trl is not installed")
NAMES = tuple(RunConfig().reward.weights)
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def test_rewards_run_in_a_step_of_trls_trainer(rollout, example, normal_example, tmp_path):
    from datasets import Dataset
    from transformers import Qwen2Config, Qwen2ForCausalLM

    prompts = [rollout("", each).prompt for each in (example, normal_example)]
    table = columns(prompts)
    rows = [
        {"prompt": [{"role": "user", "content": text_of(p.messages)}], **{name: table[name][i] for name in table}}
        for i, p in enumerate(prompts)
    ]
    tokenizer = deepcopy(small_model.processor().tokenizer)
    tokenizer.chat_template = TEMPLATE
    size = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    network = Qwen2ForCausalLM(Qwen2Config(vocab_size=320, num_key_value_heads=1, **size))
    trainer = trl.GRPOTrainer(
        model=network,
        reward_funcs=[registry.get(name) for name in NAMES],
        args=trl.GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=4,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    logged = trainer.state.log_history[0]
    for name in NAMES:  # a network of random weights says nothing that earns anything, but all of it was scored
        assert logged[f"rewards/{name}/mean"] == pytest.approx(0.0), name


THEIRS = """
from trl.rewards import get_repetition_penalty_reward, get_soft_overlong_punishment
overlong = get_soft_overlong_punishment(max_completion_len=20, soft_punish_cache=10)
repetition = get_repetition_penalty_reward(ngram_size=1)
def matches(completions, solution, log_extra=None):  # what TRL calls the gold answer
    return [float(gold in completion[0]["content"]) for completion, gold in zip(completions, solution)]
"""


@pytest.fixture
def theirs(tmp_path):
    path = tmp_path / "theirs.py"
    path.write_text(THEIRS)
    return ["trl.rewards:think_format_reward", *(f"{path}:{name}" for name in ("overlong", "repetition", "matches"))]


def test_trls_rewards_run_in_a_scorer(theirs, rollout):
    good = "<think>\nTwo lesions.\n</think>\n<answer> tuberculosis </answer>"
    right, wrong = Scorer({}, extra=theirs).parts([rollout(good), rollout("no tags")])
    # two tokens a completion, which is not too long, and 5 and 6 are not the same
    assert right == {"think_format_reward": 1.0, "overlong": 0.0, "repetition": 0.0, "matches": 1.0}
    assert wrong == {"think_format_reward": 0.0, "overlong": 0.0, "repetition": 0.0, "matches": 0.0}


def test_trls_rewards_run_in_rarl_train(theirs, tmp_path: Path):
    settings = ["model.base=tiny", "model.device=cpu", "data.limit=2", "rollout.group_size=2", "train.steps=1"]
    settings += ["rollout.prompts_per_step=1", "rollout.max_new_tokens=4", "eval.enabled=false"]
    run = rarl.train(RunConfig().override([*settings, f"reward.extra={json.dumps(theirs)}"]), out=tmp_path / "run")
    rows = [json.loads(line) for line in (run.folder / "rollouts.jsonl").open()]
    assert len(rows) == 2
    for row in rows:
        assert {"think_format_reward", "overlong", "repetition", "matches", *("format", "accuracy")} <= set(
            row["parts"]
        )
        assert row["total"] is not None
