"""An engine answers a judge's text-only prompts, whatever the model behind it makes of them."""

from rarl.config import JudgeSection, Model
from rarl.engines import NativeEngine
from rarl.judges import Failure, make_judge
from rarl.policy import Policy
from rarl.types import JudgeQuery


def test_the_embedded_model_is_asked_and_is_no_judge() -> None:
    """It has only ever seen its own benchmark: what it says is no verdict, and so no score."""
    engine = NativeEngine(Policy.load(Model(base="tiny", device="cpu")))
    settings = JudgeSection(kind="local", model="tiny", max_tokens=12, concurrency=2, cache="off")
    query = JudgeQuery("correctness", "1", "Is there a lesion?", "There is one.", "yes", gold="no")
    verdicts = make_judge(settings, local=engine)([query, JudgeQuery("explanation", "1", "Is it?", "It is.", "yes")])
    assert [verdict.value for verdict in verdicts] == [None, None]
    assert {verdict.failure for verdict in verdicts} <= {Failure.TRUNCATED, Failure.UNREADABLE}
