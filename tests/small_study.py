"""A study small enough to run in a test: the embedded model, two steps of two prompts, a handful of questions."""

COMMON = """
[common.model]
base = "tiny"
cache_dir = "off"
[common.data]
limit = 8
[common.rollout]
group_size = 2
prompts_per_step = 2
max_new_tokens = 24
[common.train]
steps = 2
lr = 1e-3
beta = 0.0
[common.eval]
limit = 6
[common.checkpoint]
every_steps = 1
[common.reward]
probe = "off"
"""

TOML = f"""
seeds = [3, 4]
shapes = ["think", "direct"]
metrics = ["accuracy", "reasoning"]
{COMMON}
[arms.base]
title = "base"
trained = false
[arms.rl]
title = "RL"
config.prompt.diversity = false
config.reward.weights = {{ format = 0.1, accuracy = 1.0 }}
config.reward.gates = {{}}
[arms.sft]
title = "SFT"
native = "direct"
config.run.method = "sft"

[sets.home]
title = "in domain"
role = "in-domain"
split = "test"
[sets.away]
title = "new wording"
role = "unseen"
split = "unseen-wording"

[[claims]]
says = "RL generalises better than SFT"
measure = "points"
sets = ["away"]
contrasts = [{{ arm = "rl", against = "sft" }}]
[[claims]]
says = "RL costs less than SFT"
endpoint = "tokens"
measure = "relative"
contrasts = [{{ arm = "rl", against = "sft" }}]
"""


def write(folder, text=TOML, name="small.toml"):
    path = folder / name
    path.write_text(text)
    return path
