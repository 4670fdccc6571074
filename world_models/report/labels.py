"""What settings are called in a report: one table for the names of today and those of older files."""

from __future__ import annotations

# Label: the names that files have or had.
_NAMES: dict[str, tuple[str, ...]] = {
    "action size": ("actions",),
    "actions learned after the others": ("delayed_actions", "late"),
    "budget, generations": ("max_generations",),
    "budget, seconds": ("max_seconds",),
    "budget, simulator steps": ("env_steps", "max_env_steps"),
    "C has biases": ("bias",),
    "C sees c": ("use_cell",),
    "C sees h": ("use_hidden",),
    "C sees sampled latents": ("sample_latents",),
    "C's bias at the start": ("initial_bias", "first_bias"),
    "candidates a generation": ("pop_size",),
    "candidates share their episodes": ("common_random_numbers", "shared_tracks"),
    "cost of an early termination": ("early_termination_penalty", "lost"),
    "early termination, steps without reward": ("early_termination", "hopeless"),
    "end of a dream": ("dream_terminal",),
    "environment": ("env_name",),
    "episodes a candidate": ("n_samples", "samples"),
    "episodes a candidate at most": ("max_samples",),
    "episodes for whitening": ("whitening_episodes",),
    "episodes of a re-evaluation": ("eval_episodes",),
    "episodes that choose the controller": ("selection_episodes", "choice_episodes"),
    "epochs": ("num_epochs",),
    "F statistic wanted of a generation": ("target_f_statistic", "wanted_f"),
    "free bits, nats a latent": ("free_bits",),
    "gaussians of the mixture": ("gaussians", "gmm_components"),
    "generations between re-evaluations": ("eval_every",),
    "half of the episodes mirrored": ("mirrored",),
    "held-out rollouts": ("num_test_files",),
    "hidden size": ("hiddens",),
    "image channels": ("img_channels",),
    "initial step size (sigma)": ("sigma",),
    "inputs standardized": ("standardized",),
    "lanes of a worker": ("num_lanes",),
    "latent size": ("latents",),
    "learning rate of the mean": ("mean_learning_rate", "mean_rate"),
    "M predicts rewards": ("include_reward",),
    "mixed precision": ("amp", "use_amp"),
    "phase begins from scratch": ("from_scratch", "anew"),
    "policy gradient before the phase, dreamed steps": ("gradient_steps",),
    "principal components searched in": ("components",),
    "reward of a dream": ("dream_reward",),
    "sequence length": ("seq_len",),
    "share of replayed episodes": ("replay_fraction", "replayed"),
    "share of the training over which the learning rate falls": ("anneal",),
    "states for action effects": ("action_effect_states", "foreseen"),
    "steps of an episode at first": ("initial_horizon", "first_horizon"),
    "stops at return": ("target_return",),
    "weight of the KL": ("kl_weight",),
    "workers at most": ("max_workers",),
}
_LABELS = {name: label for label, names in _NAMES.items() for name in names}


def label_of(name: str) -> str:
    """A setting's label; its name with spaces where the table has none."""
    return _LABELS.get(name, name.replace("_", " "))
