"""What a run leaves behind, loaded by transformers and PEFT alone."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

import small_model
from rarl.config import Lora, Model, RunConfig
from rarl.draws import Draws
from rarl.engines import NativeEngine
from rarl.errors import ModelError, RarlError, RunFolderError
from rarl.exporting import export_merged, require_joinable, save_adapter
from rarl.policy import Policy
from rarl.policy.processor import Processor
from rarl.types import Sampling

PROMPT = small_model.prompt("Is there a lesion?", images=2, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    small_model.network().save_pretrained(folder)
    small_model.processor().save(folder)
    return folder


def trained(base: Path, lora: Lora, seed: int, adapter: str = "") -> Policy:
    policy = Policy.load(Model(base=str(base), adapter=adapter, device="cpu"), lora)
    generator = torch.Generator().manual_seed(seed)
    for parameter in policy.trainable():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return policy


def logits(network, processor: Processor) -> torch.Tensor:
    """Of the prompt's last token, by the network's own forward."""
    pixels = [processor.pixels(source.read(), source.name) for source in PROMPT.example.images]
    ids_1P = torch.tensor([processor.prompt_ids(PROMPT, [image.tokens for image in pixels])])
    with torch.no_grad():
        return network(
            input_ids=ids_1P,
            mm_token_type_ids=(ids_1P == processor.image_token_id).int(),
            pixel_values=torch.cat([image.patches for image in pixels]),
            image_grid_thw=torch.stack([image.grid_3 for image in pixels]),
        ).logits[0, -1]


def plain(base: Path, adapter: Path | None = None) -> torch.Tensor:
    network = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    if adapter is not None:
        network = PeftModel.from_pretrained(network, adapter)
    return logits(network.eval(), Processor.load(str(adapter or base), max_vision_tokens=1024))


def save(policy: Policy, base: Path, folder: Path, adapter: str = "") -> None:
    config = RunConfig(model=Model(base=str(base), adapter=adapter))
    save_adapter(policy, config, folder, [{"accuracy": 0.5}])


def test_adapter_gives_the_same_logits_in_plain_peft(base: Path, tmp_path: Path) -> None:
    policy = trained(base, Lora(r=4, alpha=8), seed=1)
    save(policy, base, tmp_path / "adapter")
    expected_V = logits(policy.network, policy.processor)
    torch.testing.assert_close(plain(base, tmp_path / "adapter"), expected_V, atol=1e-5, rtol=0)
    assert (plain(base) - expected_V).abs().max() > 0.1
    assert (tmp_path / "adapter" / "run_card.json").is_file()


def test_an_adapter_trained_on_top_of_another_belongs_to_the_base_alone(base: Path, tmp_path: Path) -> None:
    first = trained(base, Lora(r=4, alpha=8), seed=1)
    save(first, base, tmp_path / "first")
    second = trained(base, Lora(r=2, alpha=6, targets=("q_proj", "down_proj")), seed=2, adapter=str(tmp_path / "first"))
    with second.network.disable_adapter():  # the reference is base + first
        torch.testing.assert_close(
            logits(second.network, second.processor), logits(first.network, first.processor), atol=1e-4, rtol=0
        )
    save(second, base, tmp_path / "second", adapter=str(tmp_path / "first"))
    expected_V = logits(second.network, second.processor)
    torch.testing.assert_close(plain(base, tmp_path / "second"), expected_V, atol=1e-4, rtol=0)
    assert (logits(first.network, first.processor) - expected_V).abs().max() > 0.1


def test_merged_export_is_a_plain_checkpoint(base: Path, tmp_path: Path) -> None:
    policy = trained(base, Lora(r=4, alpha=8), seed=1)
    save(policy, base, tmp_path / "adapter")
    merged = export_merged(str(base), str(tmp_path / "adapter"), tmp_path / "merged")
    torch.testing.assert_close(plain(merged), logits(policy.network, policy.processor), atol=1e-4, rtol=0)
    with pytest.raises(RunFolderError, match="exists already"):
        export_merged(str(base), str(tmp_path / "adapter"), merged)


def test_what_is_no_adapter_is_refused_with_its_name(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no adapter: it has no adapter_config\.json"):
        export_merged(str(base), str(tmp_path), tmp_path / "out")
    with pytest.raises(ModelError, match="no adapter to merge"):
        export_merged(str(base), "", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "sound"
    save(trained(base, Lora(r=2), seed=1), base, folder)
    return folder


def damaged(adapter: Path, folder: Path, config: dict | list | None = None, weights: bytes | None = None) -> Path:
    """A copy of the adapter with another configuration or other bytes as weights."""
    shutil.copytree(adapter, folder)
    if isinstance(config, dict):
        config = json.loads((folder / "adapter_config.json").read_text()) | config
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    if weights is not None:
        (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        ([], None),
        ({"peft_type": "NONE_SUCH"}, None),
        pytest.param(
            {"peft_type": "PROMPT_TUNING"},
            None,
            marks=pytest.mark.filterwarnings("ignore:Unexpected keyword arguments"),
        ),
        ({"r": 16}, None),
        ({"r": "x"}, None),
        ({"target_modules": ["nope"]}, None),
        ({"use_dora": True}, None),  # PEFT would go on without the magnitudes that the file lacks
        (None, b""),
        (None, b"x" * 1000),
    ],
)
def test_an_adapter_that_does_not_fit_is_one_line(base: Path, adapter: Path, tmp_path: Path, config, weights) -> None:
    folder = damaged(adapter, tmp_path / "bad", config, weights)
    with pytest.raises(ModelError, match="does not fit the base model") as caught:
        Policy.load(Model(base=str(base), adapter=str(folder), device="cpu"))
    assert "\n" not in str(caught.value)


def test_weights_of_other_names_are_not_taken_for_none(base: Path, adapter: Path, tmp_path: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    folder = damaged(adapter, tmp_path / "bad")
    save_file(
        {name.replace(".layers.", ".blocks."): t for name, t in tensors.items()}, folder / "adapter_model.safetensors"
    )
    with pytest.raises(ModelError, match="Found missing adapter keys"):
        Policy.load(Model(base=str(base), adapter=str(folder), device="cpu"))


@pytest.mark.parametrize(
    "config", [{"r": "x"}, {"use_dora": True}, {"use_rslora": True}, {"peft_type": "LOHA"}, {"bias": "all"}]
)
def test_what_cannot_be_saved_after_the_training_is_told_before_it(adapter: Path, tmp_path: Path, config) -> None:
    require_joinable(str(adapter))
    with pytest.raises(ModelError, match="is no plain LoRA"):
        require_joinable(str(damaged(adapter, tmp_path / "other", config)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.safetensors", b""),
        ("model.safetensors", b"x" * 1000),
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "qwen2_vl", "text_config": {"hidden_size": "x"}}'),
        ("tokenizer.json", b"{}"),
        ("preprocessor_config.json", b"[]"),
    ],
)
def test_a_damaged_base_is_one_line(base: Path, tmp_path: Path, name: str, data: bytes) -> None:
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    (folder / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"base model '{folder}'") as caught:
        Policy.load(Model(base=str(folder), device="cpu"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["gpu", "meta", "xla"])
def test_a_device_that_cannot_be_used_is_an_error(base: Path, device: str) -> None:
    with pytest.raises(ModelError, match=r"model\.device"):
        Policy.load(Model(base=str(base), device=device))


def test_a_model_that_computes_no_numbers_is_told(base: Path) -> None:
    policy = trained(base, Lora(r=2), seed=1)
    policy.trainable()[0].data.fill_(float("nan"))
    with pytest.raises(RarlError, match="no numbers any more"):
        NativeEngine(policy).generate([PROMPT], 2, Sampling(max_new_tokens=2), Draws(0))
