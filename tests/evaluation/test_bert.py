from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from rarl.errors import ModelError
from rarl.evaluation.bert import bert_score

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "left", "right", "upper", "lower", "lung", "heart", "the", "in"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers that knows twelve words."""
    path = tmp_path_factory.mktemp("bert")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    ends = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends).save_pretrained(path)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(WORDS), initializer_range=0.5, **sizes)
    BertModel(config).save_pretrained(path)
    return path


def plainly(folder: Path, gold: str, answer: str) -> float:
    """The paper's F1, token by token; [CLS] and [SEP] can be matched, but nothing is asked of them."""
    model, vectors = AutoModel.from_pretrained(folder).eval(), []
    for text in (gold, answer):
        ids = torch.tensor([[2, *(WORDS.index(word) for word in text.split()), 3]])
        with torch.no_grad():
            vectors.append(list(model(input_ids=ids).last_hidden_state[0]))

    def best(vector: torch.Tensor, others: list[torch.Tensor]) -> float:
        return max(float(torch.cosine_similarity(vector, other, dim=0)) for other in others)

    wanted, said = vectors
    recall = sum(best(vector, said) for vector in wanted[1:-1]) / len(wanted[1:-1])
    precision = sum(best(vector, wanted) for vector in said[1:-1]) / len(said[1:-1])
    return 2 * precision * recall / (precision + recall)


def test_against_a_plain_computation(folder: Path) -> None:
    golds = ["left lung", "the heart", "right", "left lung"]
    answers = ["left upper lung", "in the lower right lung", "left", "right"]
    expected = [plainly(folder, gold, answer) for gold, answer in zip(golds, answers, strict=True)]
    assert bert_score(folder)(golds, answers) == pytest.approx(expected, abs=1e-5)
    assert len({round(value, 3) for value in expected}) == 4


def test_the_same_text_is_1_and_none_is_0(folder: Path) -> None:
    found = bert_score(folder)(["left lung", "left lung", "", "heart"], ["left lung", "", "heart", "  "])
    assert found == [pytest.approx(1.0, abs=1e-5), 0.0, 0.0, 0.0]


def test_a_value_does_not_depend_on_what_is_computed_beside_it(folder: Path) -> None:
    alone = bert_score(folder)(["left lung"], ["right"])
    beside = bert_score(folder)(["left lung", "the right lower lung in the heart"], ["right", "heart"])
    assert beside[0] == pytest.approx(alone[0], abs=1e-5)


def test_a_folder_without_a_model_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"eval\.bertscore: .* holds no model"):
        bert_score(tmp_path)


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        bert_score(tmp_path)(["a"], ["b"])
    assert "\n" not in str(caught.value)
