"""Where a report's numbers come from: command, versions, settings, hashes, and what was sent where for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

import tomli_w

from rarl.config import RunConfig
from rarl.judges import failures
from rarl.reporting.results import Result
from rarl.reporting.sources import Source
from rarl.types import EvalRecord, Verdict

_UNKNOWN = "unknown"
_OWN = {"localhost", "127.0.0.1", "::1"}
_ELSEWHERE = ("instruction", "questions_digest", "judge", "draws")  # of settings.json: not shown as they stand


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of one run or evaluation; `facts` are by what they are, `evaluations` by data set, `config` is TOML or empty."""

    label: str
    facts: Mapping[str, str]
    packages: Mapping[str, str]
    evaluations: Mapping[str, Mapping[str, str]]
    config: str


def provenance(source: Source) -> Provenance:
    """What is not known says so."""
    found, config = source.environment, source.config
    facts = {}
    if config:
        facts = {
            **_made_with(found),
            "Seed": str(config.run.seed),
            "Hash of the configuration": config.digest(),
            "Rewards' judge": _training_judge(config),
        }
    return Provenance(
        source.label,
        facts,
        source.packages,
        {
            result.title: ({} if config else _made_with(result.after.environment)) | _evaluation(result)
            for result in source.results
        },
        tomli_w.dumps(without_folders(config.model_dump(exclude_none=True))) if config else "",
    )


def without_folders(value: Any) -> Any:
    """The same with every absolute path cut to its last part: folders tell who somebody is."""
    if isinstance(value, Mapping):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(each) for each in value]
    if isinstance(value, str) and (
        value.startswith("~") or any(p(value).is_absolute() for p in (PurePath, PureWindowsPath))
    ):
        return f".../{PureWindowsPath(value).name}"
    return value


def judge_sent(result: Result) -> str:
    """What left this machine for the evaluation's verdicts, and to whom."""
    judge = result.judge
    kind, model = judge.get("kind", "rules"), without_folders(judge.get("model") or judge.get("judge") or _UNKNOWN)
    if kind == "rules":
        return "Nothing left this machine: the answers were graded by rules, which are not a language model."
    if kind == "local":
        return f"Nothing left this machine: a local model judged, {model}."
    if kind != "openai":
        who = without_folders(judge.get("judge") or kind)
        return f"Judged by {who}, a function of the user's own: what it sends where is not known here."
    images = "images too" if result.saw_images else "no images"
    return f"To {_where(judge)}, model {model}: text of the questions and answers, {images}; {_counted(result)}."


def _where(judge: Mapping[str, Any]) -> str:
    hosts = judge.get("host") or urlsplit(judge.get("base_url") or "https://api.openai.com/v1").netloc
    names = {urlsplit(f"//{host}").hostname for host in hosts.split(", ")}
    return f"{hosts}, on this machine" if names <= _OWN else hosts


def _counted(result: Result) -> str:
    """By the judge's own count where the evaluation kept it."""
    names = ("requests", "from_cache", "prompt_tokens", "completion_tokens", "images")
    counts = {name: result.judge.get(name) for name in names}
    words = [f"{n:,} {name.replace('_', ' ')}" for name, n in counts.items() if isinstance(n, int)]
    had = sum(each.value is not None for _, each in _asked(result))
    return ", ".join(words) or f"{had:,} verdicts, asked for or taken from the cache"


def _asked(result: Result) -> list[tuple[EvalRecord, Verdict]]:
    """The verdicts that a judge was to give: not those on what was not said, which are 0 unasked."""
    verdicts = ((record, each) for record in result.after.records for each in record.verdicts.values())
    return [(record, each) for record, each in verdicts if each.rubric and _said(record, each)]


def _said(record: EvalRecord, verdict: Verdict) -> bool:
    return bool(record.answer if verdict.axis == "correctness" else record.reasoning)


def _rubrics(result: Result) -> dict[str, str]:
    """By rubric its hash, who judged by it, and how many verdicts came of how many asked for."""
    asked = Counter((each.judge, each.rubric) for _, each in _asked(result))
    had = Counter((each.judge, each.rubric) for _, each in _asked(result) if each.value is not None)
    every = [each for record in result.after.records for each in record.verdicts.values() if each.rubric]
    facts = {}
    for (judge, rubric), count in Counter((each.judge, each.rubric) for each in every).items():
        told, unasked = asked[judge, rubric], count - asked[judge, rubric]
        what = "answer" if rubric.startswith("correctness") else "reasoning"
        zero = f", {unasked:,} without {'an answer' if what == 'answer' else what} count as 0" if unasked else ""
        facts[f"Rubric {rubric.partition(' ')[0]}"] = (
            f"{rubric}; judge {judge}; {told:,} asked{zero}, {had[judge, rubric]:,} verdicts"
        )
    return facts


def _evaluation(result: Result) -> dict[str, str]:
    settings = result.after.summary.settings
    facts = {
        "Hash of the questions": str(settings.get("questions_digest", _UNKNOWN)),
        **{
            name.replace("_", " ").capitalize(): str(without_folders(settings[name]))
            for name in settings
            if name not in _ELSEWHERE and settings[name] not in (None, "")
        },
        "Instruction": str(settings.get("instruction", _UNKNOWN)),
        "Sent for judging": judge_sent(result),
    }
    verdicts = [each for record in result.after.records for each in record.verdicts.values()]
    facts |= _rubrics(result)
    if failed := failures(verdicts):
        facts["Verdicts that could not be had"] = ", ".join(f"{count:,} {reason}" for reason, count in failed.items())
    return facts


def _made_with(found: Mapping[str, Any]) -> dict[str, str]:
    """What environment.json says, but the packages."""
    command = found.get("command")
    return {
        "Command": " ".join(map(str, command)) if isinstance(command, list) else _UNKNOWN,
        "Started": _told(found, "time"),
        "Commit": str(found.get("commit", _UNKNOWN) or "not a checkout"),
        "Machine": f"{_told(found, 'cpu')}, {_told(found, 'cpus')} CPUs, {_told(found, 'platform')}",
        "Python": _told(found, "python"),
    }


def _training_judge(config: RunConfig) -> str:
    judge = config.judge
    if config.run.method != "grpo" or judge.kind == "rules":
        return "none: rewards are rules, and nothing left this machine for them"
    images = "with" if judge.send_images else "without"
    who = f"{without_folders(judge.kind)} {without_folders(judge.model)}"
    return f"{who}, {images} images, where rules had nothing to check against"


def _told(found: Mapping[str, Any], name: str) -> str:
    return str(found.get(name, _UNKNOWN))
