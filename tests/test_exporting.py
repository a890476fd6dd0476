"""What a run leaves behind, loaded by transformers and PEFT alone."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

import small_model
from rarl.config import Lora, Model, RunConfig
from rarl.errors import ModelError, RunFolderError
from rarl.exporting import export_merged, save_adapter
from rarl.policy import Policy
from rarl.policy.processor import Processor

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
    assert not (tmp_path / "out").exists()
