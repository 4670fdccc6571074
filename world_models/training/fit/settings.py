"""What stages V and M are told beyond the documented fields of their configs (`config.extra`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.typed import About, Count, Number, Share, Whole, read


@dataclass(frozen=True)
class VaeSettings:
    """Stage V's further settings."""

    seed: Annotated[Whole, About("of weights, batches and noise")] = 0
    num_test_files: Annotated[
        Whole | None, About("held out; null: 600, or a tenth of fewer files", "rollout files")
    ] = None
    free_bits: Annotated[Number, About("KL below which a latent costs nothing", "nats")] = 0.0
    kl_weight: Annotated[Number, About("of the KL term (beta)")] = 1.0
    precision: Annotated[Literal["auto", "fp32", "bf16"], About("of V's layers")] = "auto"
    compile: Annotated[bool, About("compile V where there is CUDA")] = True
    frames_per_epoch: Annotated[Count | None, About("cap of an epoch; null: all", "frames")] = None
    sample_count: Annotated[Count, About("on a sample sheet", "frames")] = 8
    anneal: Annotated[Share, About("last share of all batches over which the learning rate falls to 0")] = 0.0
    tensorboard: Annotated[bool, About("write event files for TensorBoard")] = True
    wandb: Annotated[bool, About("log to Weights & Biases")] = False

    @classmethod
    def from_config(cls, config: WMVAEConfig) -> VaeSettings:
        """Read and check them. Raises ConfigError with every field that cannot work."""
        return read(cls, config.extra, others=True)


@dataclass(frozen=True)
class MdrnnSettings:
    """Stage M's further settings."""

    seed: Annotated[Whole, About("of weights, batches and noise")] = 0
    num_test_files: Annotated[
        Whole | None, About("held out; null: 600, or a tenth of fewer files", "rollout files")
    ] = None
    optimizer: Annotated[Literal["rmsprop", "adam"], About("RMSprop with alpha 0.9, as documented, or Adam")] = (
        "rmsprop"
    )
    grad_clip: Annotated[Number | None, About("largest norm of the gradient; 0 or null: any")] = 1.0
    batches_per_epoch: Annotated[Count | None, About("cap of an epoch; null: all", "batches")] = None
    anneal: Annotated[Share, About("last share of all batches over which the learning rate falls to 0")] = 0.0
    terminal_weight: Annotated[
        Number, About("above 0 the ends of episodes are learned as well, and a terminal weighs so many times as much")
    ] = 0.0
    reward_weight: Annotated[Number, About("of the reward's squared error in the loss")] = 1.0
    reward_smoothing: Annotated[
        Whole, About("learn the mean reward of so many about each one; 0 and 1: the reward itself", "steps")
    ] = 0
    tensorboard: Annotated[bool, About("write event files for TensorBoard")] = True
    wandb: Annotated[bool, About("log to Weights & Biases")] = False

    @classmethod
    def from_config(cls, config: WMMDNRNNConfig) -> MdrnnSettings:
        """Read and check them. Raises ConfigError with every field that cannot work."""
        return read(cls, config.extra, others=True)
