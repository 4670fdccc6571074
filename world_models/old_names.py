"""The names that settings had before: old checkpoints, settings files, presets, `--set` and `extra` still use them."""

from __future__ import annotations

from collections.abc import Collection

OLD_NAMES: dict[str, str] = {
    # Stage C, its phases, and collecting.
    "mean_rate": "mean_learning_rate",
    "first_bias": "initial_bias",
    "first_horizon": "initial_horizon",
    "hopeless": "early_termination",
    "wanted_f": "target_f_statistic",
    "shared_tracks": "common_random_numbers",
    "replayed": "replay_fraction",
    "choice_episodes": "selection_episodes",
    "driving": "whitening_rollouts",
    "start_from": "refit_from",
    "foreseen": "action_effect_states",
    "lost": "early_termination_penalty",
    "late": "delayed_actions",
    "anew": "from_scratch",
    # Rounds of a preset.
    "keep": "frozen",
    "carry": "from_previous_round",
    # The policy gradient.
    "steps": "rollout_steps",
    "discount": "gamma",
    "trace": "gae_lambda",
    "last_discount": "final_gamma",
    "noise": "action_noise",
    "last_noise": "final_action_noise",
    "late_share": "delayed_learning_rate",
    "largest": "advantage_clip",
    "passes": "epochs",
    "batch": "minibatch",
    "rate": "learning_rate",
    "critic_rate": "critic_learning_rate",
    "last_rate": "final_learning_rate",
    "memory": "ema_decay",
    "critic_first": "critic_warmup",
    "clip": "clip_range",
}
"""Old name: today's. An old name counts where a part has a setting of the new name and none of the old one."""


def todays_name(name: str, known: Collection[str]) -> str:
    """What the setting `name` is called today in a part whose settings are `known`; its own name for any other."""
    new = OLD_NAMES.get(name, name)
    return new if new in known and name not in known else name
