"""The native engine samples from the training weights themselves: nothing is synchronised, nothing drifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rarl.draws import Draws
from rarl.engines.sampling import draw, uniforms
from rarl.errors import RarlError
from rarl.policy import Policy
from rarl.policy.decoding import Decoding, Prefill
from rarl.policy.norms import Rotation
from rarl.policy.prompts import EncodedPrompt, pack
from rarl.policy.recording import Products
from rarl.types import Finish, Prompt, Rollout, Sampling

CHECK_EVERY = 4  # tokens between looks at which completions are done: each look waits for the device


class NativeEngine:
    """Samples groups in one decode batch: a prompt is prefilled once, its keys and values shared by the group."""

    def __init__(self, policy: Policy, prompts_per_batch: int | None = None) -> None:
        """None: all the prompts of a call are one batch."""
        self.policy = policy
        self.prompts_per_batch = prompts_per_batch

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
        encoded = [self.policy.encode(prompt) for prompt in prompts]
        drawn = self._decode(encoded, n, sampling, uniforms(seeds, sampling.max_new_tokens))
        rows = zip(drawn.tokens_BC.tolist(), drawn.logprobs_BC.tolist(), strict=True)
        rollouts = [
            self._rollout(prompts[row // n], tokens, logprobs, seeds[row])
            for row, (tokens, logprobs) in enumerate(rows)
        ]
        if self.policy.recording:
            token_ids = [rollout.token_ids for rollout in rollouts]
            self.policy.recording.note(prompts, [len(prompt) for prompt in encoded], drawn.fed, token_ids)
        return [rollouts[start : start + n] for start in range(0, len(rollouts), n)]

    def _rollout(self, prompt: Prompt, tokens: list[int], logprobs: list[float], seed: int) -> Rollout:
        ends = [place for place, token in enumerate(tokens) if token in self.policy.end_ids]
        length = ends[0] + 1 if ends else len(tokens)
        text = self.policy.processor.decode(tokens[: ends[0] if ends else length])
        finish = Finish.STOP if ends else Finish.LENGTH
        return Rollout(prompt, tuple(tokens[:length]), tuple(logprobs[:length]), text, finish, seed)

    def _decode(self, prompts: Sequence[EncodedPrompt], n: int, sampling: Sampling, uniform_BC: Tensor) -> _Drawn:
        """What follows a completion's end token means nothing."""
        policy, language = self.policy, self.policy.language
        products = policy.recording or Products()
        language.refresh()
        hidden_NH, prefill = self._prefill(prompts, products)
        if not bool(hidden_NH.isfinite().all()):
            raise RarlError("the model computes no numbers any more (NaN or inf): lower train.lr, or use float32")
        layout = Decoding(prefill, n, sampling.max_new_tokens)
        del prefill  # the layout has its own copy
        slots = _Slots.start(len(prompts), n, policy.device)
        out = _Drawn(uniform_BC.to(policy.device))
        rotations = self._rotations(prompts, n, sampling.max_new_tokens)
        end_E = torch.tensor(policy.end_ids, device=policy.device)
        hidden_SH = hidden_NH.repeat_interleave(n, 0)
        for step in range(sampling.max_new_tokens):
            logits_SV = policy.logits(hidden_SH, sampling.temperature or 1.0)
            tokens_S, logprobs_S = draw(logits_SV, sampling, out.uniform_BC[slots.rows_S, step])
            out.record(slots.rows_S, step, tokens_S, logprobs_S)
            slots.done_S |= torch.isin(tokens_S, end_E)
            if step + 1 == sampling.max_new_tokens:
                break
            if step % CHECK_EVERY == 0:
                kept_s = slots.compact(layout)
                if kept_s is None:
                    break
                tokens_S = tokens_S[kept_s]
            out.fed.append(slots.rows_S)
            hidden_SH = language.hidden(language.embed(tokens_S), rotations.of((step, slots.rows_S)), layout, products)
            layout.step += 1
        return out

    def _rotations(self, prompts: Sequence[EncodedPrompt], n: int, steps: int) -> Rotation:
        """Those of all the completions' tokens, by step [steps, B, ..]."""
        first_B = torch.tensor([prompt.next_position for prompt in prompts]).repeat_interleave(n)
        positions_CB = (first_B + torch.arange(steps)[:, None]).to(self.policy.device)
        flat = self.policy.language.rotation(positions_CB.flatten().expand(3, -1))
        shape = (*positions_CB.shape, *flat.cos.shape[1:])
        return Rotation(flat.cos.view(shape), flat.sin.view(shape))

    def _prefill(self, prompts: Sequence[EncodedPrompt], products: Products) -> tuple[Tensor, Prefill]:
        """One packed forward over all prompts: the last hidden state of each [N, H], and every layer's K/V."""
        packed = pack(prompts, [()] * len(prompts))
        prefill = Prefill(packed.prompt_lengths, self.policy.device)
        return self.policy.hidden(packed, prefill, products), prefill


@dataclass
class _Slots:
    """Which completion [S] each place of the decode batch works on; S = groups x completions, group by group."""

    rows_S: Tensor
    done_S: Tensor
    groups: int

    @classmethod
    def start(cls, groups: int, n: int, device: torch.device) -> _Slots:
        return cls(
            torch.arange(groups * n, device=device), torch.zeros(groups * n, dtype=torch.bool, device=device), groups
        )

    def compact(self, layout: Decoding) -> Tensor | None:
        """Give up places whose completion is done: indices of the places kept, None when all are done.

        Every group keeps as many places as the busiest one needs; the spare ones go on with done completions.
        """
        done_NG = self.done_S.view(self.groups, -1)
        busy_N = (~done_NG).sum(1)
        most = int(busy_N.max())
        if most == 0:
            return None
        G = done_NG.shape[1]
        groups_n = busy_N.nonzero()[:, 0]
        if most == G and len(groups_n) == self.groups:
            return torch.arange(len(self.done_S), device=self.done_S.device)
        first_busy_ng = done_NG[groups_n].int().argsort(dim=1, stable=True)[:, :most]
        kept_s = (groups_n[:, None] * G + first_busy_ng).flatten()
        layout.keep(groups_n, kept_s, most)
        self.rows_S, self.done_S = self.rows_S[kept_s], self.done_S[kept_s]
        self.groups = len(groups_n)
        return kept_s


class _Drawn:
    """What has been drawn so far, by completion [B], and the numbers to draw from."""

    def __init__(self, uniform_BC: Tensor) -> None:
        self.uniform_BC = uniform_BC
        self.tokens_BC = torch.zeros(uniform_BC.shape, dtype=torch.long, device=uniform_BC.device)
        self.logprobs_BC = torch.zeros_like(uniform_BC)
        self.fed: list[Tensor] = []  # at each step, the completions [S] whose token went through the model

    def record(self, rows_S: Tensor, step: int, tokens_S: Tensor, logprobs_S: Tensor) -> None:
        self.tokens_BC[rows_S, step] = tokens_S
        self.logprobs_BC[rows_S, step] = logprobs_S
