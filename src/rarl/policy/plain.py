"""The same log-probs the slow way: one completion at a time through transformers' own forward.

Images are encoded again, the prompt is computed again, nothing is packed, and positions and masks are transformers'
business. It is what the shared-prefix pass is held against, and what an architecture that can't share would use.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rarl.algo.batch import GroupBatch
from rarl.policy.policy import Policy
from rarl.types import Prompt


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


def _completion_logits(policy: Policy, prompt: Prompt, targets_T: Tensor) -> Tensor:
    """Float32 logits [T, V] that predict the completion's tokens."""
    pixels = [policy.processor.pixels(source.read(), source.name) for source in prompt.example.images]
    prompt_ids = policy.processor.prompt_ids(prompt, [image.tokens for image in pixels])
    ids_L = torch.cat([torch.tensor(prompt_ids, device=policy.device), targets_T])
    vision = {}
    if pixels:
        vision = {
            "pixel_values": torch.cat([image.patches for image in pixels]).to(policy.device),
            "image_grid_thw": torch.stack([image.grid_3 for image in pixels]).to(policy.device),
        }
    output = policy.network(
        input_ids=ids_L[None],
        attention_mask=torch.ones_like(ids_L)[None],
        mm_token_type_ids=(ids_L == policy.processor.image_token_id).int()[None],
        use_cache=False,
        **vision,
    )
    logits_TV: Tensor = output.logits[0, len(prompt_ids) - 1 : -1].float()
    return logits_TV
