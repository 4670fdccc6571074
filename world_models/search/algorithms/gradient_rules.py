"""The settings of the policy gradient (PPO, Schulman et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from world_models.typed import About, Count, Positive, Share, Whole


@dataclass(frozen=True)
class GradientRules:
    """How a policy gradient learns; `final_` values are reached after 80 percent of it."""

    rollout_steps: Annotated[Count, About("of each lane between two updates", "steps")] = 64
    gamma: Annotated[Share, About("discount; it sees some 1 / (1 - gamma) steps ahead")] = 0.997
    gae_lambda: Annotated[Share, About("of generalized advantage estimation")] = 0.95
    final_gamma: Annotated[Share | None, About("gamma in the end; null: it stays")] = None
    action_noise: Annotated[
        Positive, About("standard deviation of the action noise, in that of C's outputs over the first states")
    ] = 0.4
    final_action_noise: Annotated[
        Positive, About("in the end, as a factor; the learning rate falls with it, as less noise changes odds more")
    ] = 1.0
    delayed_actions: Annotated[
        tuple[Whole, ...], About("indices of actions that learn slowly at first: steering comes before speed")
    ] = ()
    delayed_learning_rate: Annotated[Positive, About("of the delayed actions at first, as a factor")] = 0.03
    advantage_clip: Annotated[Positive, About("largest normalized advantage", "standard deviations")] = 5.0
    epochs: Annotated[Count, About("over the rollout buffer of an update")] = 3
    minibatch: Annotated[Count, About("size of a minibatch", "steps")] = 4096
    learning_rate: Annotated[Positive, About("Adam's, of C's weights with inputs and outputs scaled")] = 5e-4
    critic_learning_rate: Annotated[Positive, About("Adam's, of the critic")] = 1e-3
    final_learning_rate: Annotated[Share, About("of C's weights in the end, as a factor")] = 0.2
    ema_decay: Annotated[Share, About("of the exponential moving average of C's weights, which is the result")] = 0.99
    critic_warmup: Annotated[Whole, About("first updates, of the critic alone", "updates")] = 3
    clip_range: Annotated[Positive, About("of PPO's probability ratio")] = 0.2
