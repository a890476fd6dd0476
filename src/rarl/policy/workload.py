"""What a run asks of a model's memory: how many tokens go through it at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """A step's settings. All prompts are taken to be as long as the longest, and completions likewise."""

    groups: int
    group_size: int
    prompt_tokens: int
    new_tokens: int
    tokens_per_batch: int
    vision_tokens: int = 0  # of one image
    images: int = 0  # that the run sees
    samples: bool = True  # False: trained on given completions
    records: bool = True  # sampling keeps its products, where one micro-batch takes the whole step
    reference: bool = True
    checkpointing: bool = False
    top_p: bool = False  # below 1
    evaluated: int = 0  # prompts of a batch of evaluation; 0: nothing is evaluated
    votes: int = 1  # completions of each

    @property
    def tokens(self) -> int:
        return self.groups * self.group_tokens

    @property
    def group_tokens(self) -> int:
        return self.prompt_tokens + self.group_size * self.new_tokens

    @property
    def recorded(self) -> bool:
        return self.samples and self.records and self.tokens <= self.tokens_per_batch

    def micro_batch(self) -> Rows:
        """The largest that training.grouping makes: whole groups, or a part of one, of one completion at least."""
        whole = min(self.groups, self.tokens_per_batch // self.group_tokens)
        return self.packed(whole * self.group_tokens) if whole else self.packed(self.tokens_per_batch)

    def packed(self, tokens: int) -> Rows:
        """Groups of so many tokens: whole ones, and of another what is left; one completion at least."""
        whole, left = divmod(tokens, self.group_tokens)
        rows = Rows.group(self.prompt_tokens, self.group_size, self.new_tokens) * whole
        completions = (left - self.prompt_tokens) // self.new_tokens
        if completions > 0 or not whole:
            return rows + Rows.group(self.prompt_tokens, max(1, completions), self.new_tokens)
        return rows + Rows(0, left)


@dataclass(frozen=True, slots=True)
class Rows:
    """The tokens of one packed forward, counted; what two forwards count together is their sum."""

    groups: int  # prompts
    prompt: int  # tokens of prompts
    fed: int = 0  # of completions
    targets: int = 0  # whose log-probs are computed
    seen: int = 0  # keys that completions attend to, each completion's counted by itself
    masked: int = 0  # pairs of a completion's token and a key, of one completion a group

    @classmethod
    def group(cls, prompt: int, completions: int, new_tokens: int) -> Rows:
        """One prompt and its completions; the last token of each predicts nothing, and is not fed."""
        fed = new_tokens - 1
        keys = prompt + fed
        return cls(1, prompt, completions * fed, completions * new_tokens, completions * keys, fed * keys)

    def __add__(self, other: Rows) -> Rows:
        return Rows(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __mul__(self, times: int) -> Rows:
        return Rows(*(getattr(self, name) * times for name in self.__slots__))

    @property
    def all(self) -> int:
        return self.prompt + self.fed

    @property
    def read(self) -> int:
        """Those that the last layer computes: the last of each prompt, and the completions'."""
        return self.groups + self.fed
