"""Completions that are sampled together, one token of each at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rarl.engines.sampling import draw
from rarl.errors import RarlError
from rarl.policy import Policy
from rarl.policy.decoding import Decoding, FixedDecoding, Prefill
from rarl.policy.norms import Rotation
from rarl.policy.prompts import EncodedPrompt, pack
from rarl.policy.recording import Products, Room
from rarl.types import Sampling


class DecodeBatch:
    """The completions [B] of some prompts, and the slots [S] of those that go on: groups x completions, group by group.

    A step changes the slots' tensors in place and makes no decision on the host, so that it can be captured.
    """

    def __init__(
        self,
        policy: Policy,
        prompts: Sequence[EncodedPrompt],
        n: int,
        sampling: Sampling,
        uniform_BC: Tensor,
        products: Products,
        *,
        fixed: bool,
    ) -> None:
        """Computes the prompts and draws the first token of each of their `n` completions from `uniform_BC`.

        `fixed`: steps keep shapes and addresses, and slots are given up only where that halves the batch.
        """
        self.sampling, self.fixed = sampling, fixed
        self.language = policy.language
        self.room = Room(tuple(len(prompt) for prompt in prompts), n, sampling.max_new_tokens - 1)
        self._policy, self._products, device = policy, products, policy.device
        self._uniform_BC = uniform_BC.to(device)
        self.tokens_BC = torch.zeros(uniform_BC.shape, dtype=torch.long, device=device)
        self.logprobs_BC = torch.zeros_like(self._uniform_BC)
        self._starts_B = self.room.starts()[1].to(device)
        self._ends_E = torch.tensor(policy.end_ids, device=device)
        self._rotations = _rotations(policy, prompts, n, sampling.max_new_tokens)
        self.groups = len(prompts)
        self.rows_S = torch.arange(len(uniform_BC), device=device)  # which completion each slot works on
        self.done_S = torch.zeros(len(uniform_BC), dtype=torch.bool, device=device)
        self._next_S = torch.zeros_like(self.rows_S)  # the tokens drawn last
        hidden_NH, prefill = self._prefill(prompts)
        self._layout = (FixedDecoding if fixed else Decoding)(prefill, n, sampling.max_new_tokens)
        self._draw(hidden_NH.repeat_interleave(n, 0))

    def advance(self) -> None:
        """Put each slot's last token through the model and draw the next one."""
        step, language = self._layout.step, self.language
        self._products.at(self._starts_B[self.rows_S] + step)
        rotation = self._rotations.of((step, self.rows_S))
        hidden_SH = language.hidden(language.embed(self._next_S), rotation, self._layout, self._products)
        self._layout.step += 1
        self._draw(hidden_SH)

    def give_up_done(self) -> bool:
        """Give up slots whose completion is done; False when all are.

        Every group keeps as many slots as the busiest one needs; the spare ones go on with done completions.
        """
        done_NG = self.done_S.view(self.groups, -1)
        busy_N = (~done_NG).sum(1)
        most = int(busy_N.max())
        if most == 0:
            return False
        groups_n = busy_N.nonzero()[:, 0]
        left, before = most * len(groups_n), len(self.done_S)
        if left == before or (self.fixed and 2 * left > before):
            return True
        first_busy_ng = done_NG[groups_n].int().argsort(dim=1, stable=True)[:, :most]
        kept_s = (groups_n[:, None] * done_NG.shape[1] + first_busy_ng).flatten()
        self._layout.keep(groups_n, kept_s, most)
        self.rows_S, self.done_S, self._next_S = self.rows_S[kept_s], self.done_S[kept_s], self._next_S[kept_s]
        self.groups = len(groups_n)
        return True

    @property
    def shape(self) -> tuple[int, int]:
        """Slots, and places for keys: a batch with fixed shapes has other tensors where this is another one."""
        return len(self.rows_S), self._layout.places

    def make_room(self, step: int) -> None:
        """See to it that there is a place for the keys of this step."""
        if step == self._layout.places:
            self._layout.grow()

    def _draw(self, hidden_SH: Tensor) -> None:
        step = self._layout.step
        logits_SV = self._policy.logits(hidden_SH, self.sampling.temperature or 1.0)
        tokens_S, logprobs_S = draw(logits_SV, self.sampling, self._uniform_BC[self.rows_S, step])
        self.tokens_BC[self.rows_S, step] = tokens_S
        self.logprobs_BC[self.rows_S, step] = logprobs_S
        self._next_S.copy_(tokens_S)
        self.done_S |= (tokens_S[:, None] == self._ends_E).any(1)

    def _prefill(self, prompts: Sequence[EncodedPrompt]) -> tuple[Tensor, Prefill]:
        """One packed forward over all prompts: the last hidden state of each [N, H], and every layer's K/V."""
        packed = pack(prompts, [()] * len(prompts))
        prefill = Prefill(packed.prompt_lengths, self._policy.device)
        self._products.at(self.room.prompt_rows().to(self._policy.device), prefill.read_N)
        hidden_NH = self._policy.hidden(packed, prefill, self._products)
        if not bool(hidden_NH.isfinite().all()):
            raise RarlError("the model computes no numbers any more (NaN or inf): lower train.lr, or use float32")
        return hidden_NH, prefill


def _rotations(policy: Policy, prompts: Sequence[EncodedPrompt], n: int, steps: int) -> Rotation:
    """Those of all the completions' tokens, by step [steps, B, ..]."""
    first_B = torch.tensor([prompt.next_position for prompt in prompts]).repeat_interleave(n)
    positions_CB = (first_B + torch.arange(steps)[:, None]).to(policy.device)
    flat = policy.language.rotation(positions_CB.flatten().expand(3, -1))
    shape = (*positions_CB.shape, *flat.cos.shape[1:])
    return Rotation(flat.cos.view(shape), flat.sin.view(shape))
