"""What a run leaves behind, loaded by transformers and PEFT alone."""

import json
import logging
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
    ("change", "told"),
    [
        (lambda tensors: {name: t[:, :-1] if "lora_A" in name else t for name, t in tensors.items()}, "size mismatch"),
        (lambda tensors: {name: torch.cat([t] * 2, int("lora_B" in name)) for name, t in tensors.items()}, "size mism"),
        (
            lambda tensors: {name: t for name, t in tensors.items() if "q_proj" not in name},
            "Found missing adapter keys",
        ),
        (lambda tensors: dict(sorted(tensors.items())[1:]), "Found missing adapter keys"),
        (lambda tensors: tensors | {"base_model.model.x.lora_A.weight": torch.ones(2, 2)}, r"holds 43 .*: .*x\.lora_A"),
    ],
    ids=["hidden size", "rank", "a target less", "a tensor less", "a tensor more"],
)
def test_tensors_that_are_not_those_of_base_and_configuration_are_refused_with_both_names(
    base: Path, adapter: Path, tmp_path: Path, change, told: str
) -> None:
    folder = damaged(adapter, tmp_path / "bad")
    tensors = change(load_file(adapter / "adapter_model.safetensors"))
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=f"{folder} does not fit the base model '{base}': .*{told}") as caught:
        Policy.load(Model(base=str(base), adapter=str(folder), device="cpu"))
    assert "\n" not in str(caught.value)


def test_tensors_that_the_configuration_does_not_target_are_not_dropped(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    folder = damaged(adapter, tmp_path / "bad", {"target_modules": ["q_proj"]})
    with pytest.raises(ModelError, match=r"holds 42 tensors, of which its adapter_config\.json and the base name 6"):
        Policy.load(Model(base=str(base), adapter=str(folder), device="cpu"))


@pytest.mark.parametrize("made_for", ["Qwen/Qwen2-VL-7B-Instruct", "/elsewhere/other", "tiny"])
def test_an_adapter_of_another_base_is_refused_with_both_names(
    base: Path, adapter: Path, tmp_path: Path, made_for: str
) -> None:
    folder = damaged(adapter, tmp_path / "other", {"base_model_name_or_path": made_for})
    with pytest.raises(ModelError, match=f"{folder} was trained for the base model '{made_for}', not for '{base}'"):
        Policy.load(Model(base=str(base), adapter=str(folder), device="cpu"))


def test_a_base_has_one_name_wherever_it_is(base: Path, adapter: Path, tmp_path: Path) -> None:
    moved = tmp_path / "models--org--Mine" / "snapshots" / "0123"
    shutil.copytree(base, moved)
    (tmp_path / "link").symlink_to(moved)
    for number, (name, place) in enumerate(
        [("org/Mine", moved), ("/elsewhere/mine", moved), ("", moved), (None, moved), ("0123", tmp_path / "link")]
    ):
        folder = damaged(adapter, tmp_path / str(number), {"base_model_name_or_path": name})
        Policy.load(Model(base=str(place), adapter=str(folder), device="cpu"))


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("what", ["base", "adapter"])
def test_a_pickle_is_never_loaded(
    base: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(base, "base")
    shutil.copytree(adapter, "adapter")
    name, pickled = {
        "base": ("model.safetensors", "pytorch_model.bin"),
        "adapter": ("adapter_model.safetensors", "adapter_model.bin"),
    }[what]
    (Path(what) / name).unlink()
    torch.save({"weight": Bomb()}, Path(what) / pickled)
    model = Model(base="./base", adapter="adapter", device="cpu")
    change = {"base_model_name_or_path": "base"}
    config = json.loads(Path("adapter/adapter_config.json").read_text()) | change
    Path("adapter/adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"has its weights as {pickled}, a pickle, .* never loaded; .*writes {name}"):
        Policy.load(model)
    assert not Path("exploded").exists()


CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
class MyConfig(Qwen2VLConfig):
    pass
class MyModel(Qwen2VLForConditionalGeneration):
    config_class = MyConfig
"""


@pytest.fixture
def with_code(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base whose Python file leaves a mark when it is run."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "bringing-code"
    shutil.copytree(base, folder)
    (folder / "mine.py").write_text(CODE.format(mark=str(tmp_path / "it-ran")))
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "mine.MyConfig", "AutoModelForImageTextToText": "mine.MyModel"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("kind", ["qwen2_vl", "another"])
def test_code_that_comes_with_a_base_is_not_run_unless_that_is_asked_for(
    with_code: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = with_code / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": kind}))
    with pytest.raises(ModelError, match=r"brings Python code of its own .* set model\.trust_remote_code = true"):
        Policy.load(Model(base=str(with_code), device="cpu"))
    assert not (tmp_path / "it-ran").exists()


def test_code_that_is_trusted_is_run_and_named(
    with_code: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    model = Model(base=str(with_code), device="cpu", trust_remote_code=True)
    with caplog.at_level(logging.WARNING):
        policy = Policy.load(model, Lora(r=2))
    assert (tmp_path / "it-ran").exists()
    assert f"model.trust_remote_code is on: Python code that comes with {with_code} may run" in caplog.text
    save_adapter(policy, RunConfig(model=model), tmp_path / "adapter", [])
    assert json.loads((tmp_path / "adapter/run_card.json").read_text())["trust_remote_code"] is True


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
