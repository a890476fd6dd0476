"""The same log-probs the slow way: one completion at a time through transformers' own forward.

Images are encoded again, the prompt is computed again, nothing is packed, and positions and masks are transformers'
business. It is what the shared-prefix pass is held against, and what an architecture that can't share would use.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.policy.policy import Policy
from rarl.types import Finish, Prompt, Rollout


def plain_logprobs(policy: Policy, batch: GroupBatch, temperature: float) -> Tensor:
    """Log-probs [B, T], 0 on padding, of the batch's completions under the policy with its adapter as it is now."""
    prompts = [prompt for prompt, size in zip(batch.prompts, batch.sizes, strict=True) for _ in range(size)]
    logprobs_BT = torch.zeros(batch.mask_BT.shape, device=policy.device)
    for row, (prompt, length) in enumerate(zip(prompts, batch.lengths, strict=True)):
        targets_T = batch.completion_ids_BT[row, :length].to(policy.device)
        logits_TV = _completion_logits(policy, prompt, targets_T) / temperature
        logits_TV = logits_TV.masked_fill(policy.suppressed_V, float("-inf"))
        logprobs_BT[row, :length] = logits_TV.log_softmax(-1).gather(1, targets_T[:, None])[:, 0]
    return logprobs_BT


@torch.no_grad()
def plain_completion(policy: Policy, prompt: Prompt, new_tokens: int, seed: int) -> Rollout:
    """A completion of just so many tokens, sampled at temperature 1 by transformers' generate."""
    ids_L, vision = _inputs(policy, prompt, torch.zeros(0, dtype=torch.long))
    suppressed = policy.suppressed_V.nonzero()[:, 0].tolist()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        output = policy.network.generate(
            input_ids=ids_L[None],
            attention_mask=torch.ones_like(ids_L)[None],
            mm_token_type_ids=(ids_L == policy.processor.image_token_id).int()[None],
            do_sample=True,
            top_k=0,
            max_new_tokens=new_tokens,
            min_new_tokens=new_tokens,
            suppress_tokens=suppressed,
            return_dict_in_generate=True,
            output_logits=True,
            **vision,
        )
    token_ids = output.sequences[0, len(ids_L) :].tolist()
    logits_TV = (
        torch.cat(output.logits).float().masked_fill(policy.suppressed_V.to(output.logits[0].device), float("-inf"))
    )
    logprobs_T = logits_TV.log_softmax(-1).gather(1, output.sequences[0, len(ids_L) :, None])[:, 0]
    text = policy.processor.decode(token_ids)
    return Rollout(prompt, tuple(token_ids), tuple(logprobs_T.tolist()), text, Finish.LENGTH, seed)


def _completion_logits(policy: Policy, prompt: Prompt, targets_T: Tensor) -> Tensor:
    """Float32 logits [T, V] that predict the completion's tokens."""
    ids_L, vision = _inputs(policy, prompt, targets_T)
    output = policy.network(
        input_ids=ids_L[None],
        attention_mask=torch.ones_like(ids_L)[None],
        mm_token_type_ids=(ids_L == policy.processor.image_token_id).int()[None],
        use_cache=False,
        **vision,
    )
    logits_TV: Tensor = output.logits[0, len(ids_L) - len(targets_T) - 1 : -1].float()
    return logits_TV


def _inputs(policy: Policy, prompt: Prompt, targets_T: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Token ids of the prompt and what follows it, and the images as the tower takes them."""
    pixels = [policy.processor.pixels(source.read(), source.name) for source in prompt.example.images]
    prompt_ids = policy.processor.prompt_ids(prompt, [image.tokens for image in pixels])
    ids_L = torch.cat([torch.tensor(prompt_ids, device=policy.device), targets_T.to(policy.device)])
    if not pixels:
        return ids_L, {}
    return ids_L, {
        "pixel_values": torch.cat([image.patches for image in pixels]).to(policy.device),
        "image_grid_thw": torch.stack([image.grid_3 for image in pixels]).to(policy.device),
    }
