"""What a run holds in memory, by phase and part, computed from a model's sizes alone; and what fits.

A phase has a moment or two at which it may hold most; what is live then is counted from the code of this package, in
numbers a token and a layer. benchmarks/memory.py measures the same phases; docs/performance.md has what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rarl.policy.decoding import SEGMENT
from rarl.policy.half import WIDE
from rarl.policy.logprobs import CHUNK
from rarl.policy.sizes import Sizes
from rarl.policy.vision import RAM_BYTES
from rarl.policy.workload import Rows, Workload

FLOAT = 4  # bytes: masters, moments, gradients and logits are float32, whatever the model computes in
DRAWING = 16  # bytes for each token of the vocabulary while one is drawn: logits, log-probs, probs, their running sum
DRAWING_TOP_P = 29  # and sorted, with their places
# What is not tensors: the process with its libraries, on CUDA the context, and the gaps that an allocator leaves, as a
# share of what comes and goes. Those of the CPU are measured (docs/performance.md), those of CUDA are a guess.
PROCESS_BYTES = {"cpu": 400_000_000, "cuda": 600_000_000}
GAPS = {"cpu": 0.5, "cuda": 0.1}
MOST = 2**20  # of anything that is looked for
LASTING = ("weights", "adapter", "optimizer", "image features", "decode graph")

Parts = dict[str, int]  # what is held: bytes


def footprint(sizes: Sizes, load: Workload) -> dict[str, Parts]:
    """By phase, the bytes of tensors that are held when it holds most."""
    rows = load.micro_batch()
    return _phases(sizes, load, rows, recorded(sizes, rows) if load.recorded and not sizes.cuda else 0)


def tensor_bytes(phases: Mapping[str, Parts]) -> int:
    """Of the phase that holds most."""
    return max(sum(parts.values()) for parts in phases.values())


def needed_bytes(sizes: Sizes, phases: Mapping[str, Parts]) -> int:
    """What a device must have: tensors, gaps between them, and the process."""
    kind = "cuda" if sizes.cuda else "cpu"
    gaps = 1 + GAPS[kind]
    most = max(sum(size * (1 if part in LASTING else gaps) for part, size in of.items()) for of in phases.values())
    return PROCESS_BYTES[kind] + round(most)


def micro_batch_tokens(sizes: Sizes, load: Workload, memory: int) -> int:
    """The largest `tokens_per_batch` with which a training pass fits into `memory` bytes; 0 if no completion does.

    To be the same on every run it wants the memory that a device has in all, not what is free at the moment.
    """

    def fits(tokens: int) -> bool:
        phases = _phases(sizes, load, load.packed(tokens), 0)
        passes: dict[str, Parts] = {name: phases[name] for name in ("reference", "training") if name in phases}
        prompt = min(load.prompt_tokens, tokens // load.groups - load.group_size * load.new_tokens)
        if prompt > 0:  # so short that the whole step is within the budget, and then it is recorded
            short = footprint(sizes, replace(load, prompt_tokens=prompt, tokens_per_batch=tokens))
            passes |= {f"{name}, recorded": short[name] for name in ("sampling", *passes) if name in short}
        return needed_bytes(sizes, passes) <= memory

    return largest(fits)


def largest(fits: Callable[[int], bool], limit: int = MOST) -> int:
    """The largest number up to `limit` that fits, 0 if none does; what fits is taken to do so up from a power of 2."""
    low, high = limit, limit + 1
    while low and not fits(low):
        low, high = low // 2, low
    while low and high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def held(sizes: Sizes, load: Workload) -> Parts:
    """What is there in every phase."""
    return {
        "weights": sizes.weight_bytes,
        "adapter": sizes.trained * FLOAT + sizes.joint * sizes.element,
        "optimizer": 2 * sizes.trained * FLOAT,
        "image features": 0 if sizes.cuda else feature_bytes(sizes, load),
    }


def feature_bytes(sizes: Sizes, load: Workload) -> int:
    """In RAM, whatever the device."""
    return min(RAM_BYTES, load.images * load.vision_tokens * sizes.hidden * sizes.element)


def recorded(sizes: Sizes, rows: Rows) -> int:
    """Bytes that sampling keeps its products in."""
    return sizes.layers * sum(sizes.outputs) * rows.all * sizes.element


def _phases(sizes: Sizes, load: Workload, rows: Rows, recording: int) -> dict[str, Parts]:
    """With training passes of these rows."""
    phases = {"vision": _tower(sizes, load)}
    if load.samples:
        phases["sampling"] = _sampling(sizes, load, load.groups, load.group_size, recording)
    if load.reference:
        phases["reference"] = _reference(sizes, rows, recording)
    phases["training"] = _training(sizes, rows, load.checkpointing, recording)
    phases["update"] = {"gradients": sizes.trained * FLOAT, "activations": sizes.trained * FLOAT * sizes.cuda}
    if load.evaluated:
        phases["evaluation"] = _sampling(sizes, load, load.evaluated, load.votes, 0)
    lasting = held(sizes, load) | ({"decode graph": _decode_graph(sizes, load)} if sizes.cuda and load.samples else {})
    return {phase: lasting | parts for phase, parts in phases.items()}


def _decode_graph(sizes: Sizes, load: Workload) -> int:
    """The pool of memory that steps of sampling are recorded in stays with its engine."""
    slots = load.groups * load.group_size
    return slots * sizes.vocabulary * (DRAWING_TOP_P if load.top_p else DRAWING) + _passing(sizes, slots)


def _tower(sizes: Sizes, load: Workload) -> Parts:
    """One image: in the MLP of a block, where its queries and keys are turned in float32, or where tokens are made."""
    hidden, inner, size = sizes.tower.hidden, sizes.tower.intermediate, sizes.element
    patches, joined = load.vision_tokens * sizes.tower.patches, sizes.tower.patches * hidden
    turned = 16 * hidden if size == FLOAT else 24 * hidden
    block = patches * max((3 * hidden + 3 * inner) * size, 5 * hidden * size + turned)
    widened = patches * (3 * hidden + inner) * size + _widened(patches, hidden, inner) * sizes.widened
    merged = patches * 3 * hidden * size + _widened(load.vision_tokens, joined, joined) * sizes.widened
    cast = 2 * patches * sizes.tower.patch * size * (size < FLOAT)
    pixels = patches * sizes.tower.patch * FLOAT * sizes.cuda  # on the CPU they are numpy's
    return {"activations": max(cast, block, widened, merged) + pixels}


def _sampling(sizes: Sizes, load: Workload, groups: int, completions: int, recording: int) -> Parts:
    """In the last but one layer of the prefill, or while decoding."""
    tokens, slots = groups * load.prompt_tokens, groups * completions
    one = 2 * sizes.key * sizes.element  # key and value of one token in one layer
    prefill = {
        "keys and values": (sizes.layers - 1) * tokens * one,
        "activations": _passing(sizes, tokens),
        "recording": recording,
    }
    packed, own = tokens * one, slots * _places(sizes, load) * one  # of a layer, which is there twice while it is moved
    moved = (sizes.layers + 1) * packed, sizes.layers * (packed + own) + own
    attention = slots * sizes.heads * (load.prompt_tokens + load.new_tokens) * (3 * sizes.element + FLOAT)
    logits = slots * sizes.vocabulary
    decoding = {
        "keys and values": max(moved),
        "logits": logits * (DRAWING_TOP_P if load.top_p else DRAWING),
        "activations": max(0, attention + _passing(sizes, slots) - logits * (DRAWING - FLOAT)),
        "recording": recording,
    }
    return _largest(prefill, decoding)


def _places(sizes: Sizes, load: Workload) -> int:
    """For the own keys of a completion: all at once, or on CUDA as many segments as it takes."""
    return load.new_tokens if load.new_tokens <= SEGMENT or not sizes.cuda else -(-load.new_tokens // SEGMENT) * SEGMENT


def _reference(sizes: Sizes, rows: Rows, recording: int) -> Parts:
    """In a layer, or where log-probs are computed."""
    hidden = (rows.read + rows.targets) * sizes.hidden * sizes.element
    layer = {"activations": max(_passing(sizes, rows.all), _attending(sizes, rows))}
    end = {"activations": hidden, "logits": _logits(sizes, rows)}
    return {"recording": recording} | _largest(layer, end)


def _training(sizes: Sizes, rows: Rows, checkpointing: bool, recording: int) -> Parts:
    """At the log-probs, in the backward of the last layer, which has less rows, or of the one before; or, where few
    layers keep little, in the first, which joins what was recorded of it."""
    size = sizes.element
    into = rows.all * sizes.hidden * size  # what comes into a layer; of the first, only checkpointing keeps it
    layer, last = _kept(sizes, rows, last=False), _kept(sizes, rows, last=True)
    if checkpointing:
        forward = sizes.layers * into
        in_last, before_last = forward + last, forward - into + layer
    else:
        before_last = (sizes.layers - 1) * layer - into
        forward = in_last = before_last + last
    left = recording if checkpointing else 0  # taken layer by layer; checkpointing asks twice
    end = 2 * (rows.read + rows.targets) * sizes.hidden * size
    moments = (
        {"recording": recording, "activations": _passing(sizes, rows.all)},
        {"recording": left, "kept for backward": forward, "activations": end, "logits": _logits(sizes, rows)},
        {"recording": left, "kept for backward": in_last, "activations": _back(sizes, rows.read)},
        {"recording": left, "kept for backward": before_last, "activations": _back(sizes, rows.all)},
    )
    return {"gradients": sizes.trained * FLOAT} | _largest(*moments)


def _passing(sizes: Sizes, tokens: int) -> int:
    """Tokens in a layer without gradients, at its MLP. The embeddings are still there, and what came into the layer."""
    numbers = 3 * sizes.hidden + 2 * sizes.outputs[0] + sizes.query
    gate_up = 2 * tokens * sizes.intermediate * sizes.element
    product = _product(sizes, tokens, sizes.hidden, 2 * sizes.intermediate)
    return tokens * numbers * sizes.element + gate_up + max(gate_up, product)


def _attending(sizes: Sizes, rows: Rows) -> int:
    """And at its attention, which holds more for many short completions: each has the prompt's keys and values."""
    numbers = rows.all * (2 * sizes.hidden + 2 * sizes.outputs[0] + sizes.query)
    return (numbers + 5 * rows.fed * sizes.query + 2 * rows.seen * sizes.key) * sizes.element


def _back(sizes: Sizes, tokens: int) -> int:
    """Tokens in the backward of a layer, at its MLP, which is the widest."""
    hidden, inner = sizes.hidden, sizes.intermediate
    product = tokens * inner * sizes.element + _product(sizes, tokens, hidden, inner)
    wide = 5 if sizes.low[3] else 3  # autograd's own backward, where there is no adapter
    return tokens * hidden * sizes.element + max(wide * tokens * inner * sizes.element, product)


def _kept(sizes: Sizes, rows: Rows, *, last: bool) -> int:
    """What a layer keeps for its backward: what comes in, its norms, queries, keys and values, attention, MLP."""
    hidden, inner = sizes.hidden, sizes.intermediate
    first, output, gate_up, down = sizes.low
    T, N = rows.all, rows.read if last else rows.all
    numbers = T * (hidden + sizes.outputs[0] + first + hidden * bool(first))
    numbers += N * (hidden + output + sizes.query * bool(output))
    numbers += N * (2 * inner + gate_up + hidden * bool(gate_up) + down + inner * (not down))
    asked = rows.groups if last else rows.prompt  # of the prompts' queries
    numbers += (asked + 2 * rows.fed + N * last) * sizes.query + 2 * rows.seen * sizes.key
    numbers += rows.masked * (sizes.heads // sizes.key_heads)
    return numbers * sizes.element + (asked + rows.fed) * sizes.heads * FLOAT


def _logits(sizes: Sizes, rows: Rows) -> int:
    """Of a chunk of log-probs: logits, probs, and their product, or what is left of the chunk before."""
    half = sizes.element if sizes.element < FLOAT and rows.targets > CHUNK else 0
    tokens = min(CHUNK, rows.targets)
    widened = _widened(tokens, sizes.hidden, min(sizes.vocabulary, WIDE)) * sizes.widened
    return tokens * sizes.vocabulary * (3 * FLOAT + half) + widened


def _widened(tokens: int, inputs: int, outputs: int) -> int:
    """A product in float32: its rows, its weight and what comes out."""
    return (tokens * (inputs + outputs) + inputs * outputs) * FLOAT


def _product(sizes: Sizes, tokens: int, inputs: int, outputs: int) -> int:
    """What a product of the language model takes beside its rows and what comes out."""
    wide = 2 * inputs * outputs * sizes.element if sizes.quantised else 0  # from 4 bits: of each linear, and joined
    return _widened(tokens, inputs, outputs) if sizes.widened else wide


def _largest(*moments: Parts) -> Parts:
    return max(moments, key=lambda parts: sum(parts.values()))
