"""The native engine samples from the training weights themselves: nothing is synchronised, nothing drifts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rarl.draws import Draws
from rarl.engines.batch import DecodeBatch
from rarl.engines.capture import CudaGraphs, Launches, Record
from rarl.engines.sampling import uniforms
from rarl.policy import Policy
from rarl.policy.recording import Products
from rarl.types import Finish, Prompt, Rollout, Sampling

CHECK_EVERY = 4  # tokens between looks at which completions are done: each look waits for the device


class NativeEngine:
    """Samples groups in one decode batch: a prompt is prefilled once, its keys and values shared by the group."""

    def __init__(self, policy: Policy, prompts_per_batch: int | None = None) -> None:
        """None: all the prompts of a call are one batch."""
        self.policy = policy
        self.prompts_per_batch = prompts_per_batch
        self.record: Record | None = CudaGraphs(policy.device) if policy.device.type == "cuda" else None

    def generate(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, draws: Draws) -> list[list[Rollout]]:
        """`n` completions for each prompt, in order; completion i draws from draws.at(prompt.example.id, i)."""
        groups: list[list[Rollout]] = []
        size = self.prompts_per_batch or len(prompts) or 1
        for start in range(0, len(prompts), size):
            groups += self._generate_batch(prompts[start : start + size], n, sampling, draws)
        return groups

    def close(self) -> None:
        """Nothing is held beyond the policy."""

    @torch.no_grad()
    def _generate_batch(
        self, prompts: Sequence[Prompt], n: int, sampling: Sampling, draws: Draws
    ) -> list[list[Rollout]]:
        seeds = [draws.at(prompt.example.id, i).integer() for prompt in prompts for i in range(n)]
        recording = self.policy.recording
        self.policy.language.refresh()
        encoded = [self.policy.encode(prompt) for prompt in prompts]
        uniform_BC = uniforms(seeds, sampling.max_new_tokens)
        fixed = self.record is not None
        batch = DecodeBatch(self.policy, encoded, n, sampling, uniform_BC, recording or Products(), fixed=fixed)
        _decode(batch, Launches(batch, self.record) if self.record else batch.advance)
        rows = zip(batch.tokens_BC.tolist(), batch.logprobs_BC.tolist(), strict=True)
        rollouts = [
            self._rollout(prompts[row // n], tokens, logprobs, seeds[row])
            for row, (tokens, logprobs) in enumerate(rows)
        ]
        if recording:
            recording.note(prompts, batch.room, [rollout.token_ids for rollout in rollouts])
        return [rollouts[start : start + n] for start in range(0, len(rollouts), n)]

    def _rollout(self, prompt: Prompt, tokens: list[int], logprobs: list[float], seed: int) -> Rollout:
        """What follows a completion's end token means nothing."""
        ends = [place for place, token in enumerate(tokens) if token in self.policy.end_ids]
        length = ends[0] + 1 if ends else len(tokens)
        text = self.policy.processor.decode(tokens[: ends[0] if ends else length])
        finish = Finish.STOP if ends else Finish.LENGTH
        return Rollout(prompt, tuple(tokens[:length]), tuple(logprobs[:length]), text, finish, seed)


def _decode(batch: DecodeBatch, advance: Callable[[], None]) -> None:
    """All tokens but the first, which the batch starts with, until every completion is done."""
    for step in range(batch.sampling.max_new_tokens - 1):
        if step % CHECK_EVERY == 0 and not batch.give_up_done():
            return
        advance()
