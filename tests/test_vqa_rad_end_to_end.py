"""The recipe for VQA-RAD on the real images, with the embedded model in place of the 2-billion one."""

import os
from pathlib import Path

import pytest

import rarl
from rarl.files import read_rows

ROOT = Path(__file__).resolve().parents[1]
VQA_RAD = Path(os.environ.get("RARL_VQA_RAD", ROOT.parent / "shared" / "data" / "vqa_rad"))
CHEAP = ["model.max_vision_tokens=16", "rollout.max_new_tokens=8", "eval.prompts_per_batch=64", "eval.baselines=false"]


@pytest.mark.skipif(not VQA_RAD.is_dir(), reason=f"no copy of VQA-RAD at {VQA_RAD}; set RARL_VQA_RAD")
def test_every_question_of_the_official_test_split_gets_one_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = [f'data.root="{VQA_RAD}"', "model.base=tiny", "train.steps=1", "rollout.prompts_per_step=2", *CHEAP]
    config = rarl.RunConfig.load(ROOT / "configs" / "vqa-rad.toml", overrides)
    run = rarl.train(config, out=tmp_path / "run")
    asked = {example.id for example in rarl.load_dataset("vqa-rad", split="test", root=str(VQA_RAD))}
    assert len(asked) == 451
    for stage in ("before/", ""):
        records = list(read_rows(run.folder / f"eval/{stage}vqa-rad-test/records.jsonl"))
        assert len(records) == 451
        assert {record["id"] for record in records} == asked
    assert run.results[0].after.summary.metrics["accuracy"].n == 451
    assert (run.folder / "report.html").stat().st_size < 10_000_000
    warning = "vqa-rad test: 202 of its 203 images are also in train, which is trained on"
    assert warning in caplog.text
    caplog.clear()
    adapter = str(run.folder / "adapter")
    few = ["eval.limit=4", "model.max_vision_tokens=16", "rollout.max_new_tokens=8", "eval.baselines=false"]
    rarl.evaluate(
        "tiny",
        adapter=adapter,
        data="vqa-rad",
        split="disjoint-test",
        root=str(VQA_RAD),
        out=tmp_path / "e",
        overrides=few,
    )
    assert "vqa-rad disjoint-test: 4 of its 4 images are also in train" in caplog.text
