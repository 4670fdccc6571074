"""Every name that the specification's text and SIGNATURES.md give to something of this package."""

MODULES = {
    "world_models.vision.VAE.ConvVAE": ("ConvVAEEncoder", "ConvVAEDecoder", "ConvVAE"),
    "world_models.models.mdrnn": ("_MDRNNBase", "MDRNN", "MDRNNCell"),
    "world_models.models.controller": ("Controller",),
    "world_models.losses": ("conv_vae_loss_fn", "gmm_loss"),
    "world_models.losses.convae_loss": ("conv_vae_loss_fn",),
    "world_models.losses.gmm_loss": ("gmm_loss",),
    "world_models.configs.wm_config": ("WMVAEConfig", "WMMDNRNNConfig", "WMControllerConfig"),
    "world_models.utils.train_utils": ("EarlyStopping", "ReduceLROnPlateau"),
    "world_models.datasets.wm_dataset": (
        "RolloutDataset",
        "ObservationDataset",
        "SequenceDataset",
        "LatentSequenceDataset",
    ),
    "world_models.training": ("train_convae", "train_mdn_rnn", "train_controller"),
    "world_models.training.train_world_model": ("generate_rollouts", "test_trained_model"),
    "world_models.training.train_convvae": ("train_convae",),
    "world_models.training.train_mdn_rnn": (
        "precompute_latents",
        "to_latent",
        "get_loss",
        "data_pass",
        "train_mdn_rnn",
    ),
    "world_models.training.train_controller": (
        "flatten_parameters",
        "load_parameters",
        "train_controller",
        "slave_routine",
        "_run_rollout",
    ),
    "world_models.envs.gym_env": ("GymImageEnv",),
}

MEMBERS = {
    "ConvVAE": ("encoder", "decoder", "forward"),
    "MDRNN": ("rnn", "gmm_linear", "latents", "actions", "hiddens", "gaussians", "get_init_hidden"),
    "MDRNNCell": ("rnn", "gmm_linear", "latents", "actions", "hiddens", "gaussians", "get_init_hidden"),
    "Controller": ("fc", "forward"),
    "RolloutDataset": ("load_next_buffer", "_get_data", "files"),
    "ObservationDataset": ("load_next_buffer", "_get_data", "files"),
    "SequenceDataset": ("load_next_buffer", "files"),
    "EarlyStopping": ("step", "stop", "best", "num_bad_epochs", "last_epoch", "state_dict", "load_state_dict"),
    "ReduceLROnPlateau": ("step", "lr", "best", "num_bad_epochs", "state_dict", "load_state_dict"),
    "WMVAEConfig": ("validate", "to_dict", "extra"),
    "WMMDNRNNConfig": ("validate", "to_dict", "extra"),
    "WMControllerConfig": ("validate", "to_dict", "extra"),
}

TEST_FILES = (
    "tests/vision/test_convvae.py",
    "tests/models/test_mdrnn.py",
    "tests/models/test_controller_wm.py",
    "tests/configs/test_wm_config.py",
    "tests/losses/test_convae_loss.py",
    "tests/losses/test_gmm_loss.py",
    "tests/utils/test_train_utils.py",
    "tests/datasets/test_wm_dataset.py",
)

# What a run leaves: beside a logdir, or a data folder.
RUN_FILES = ("best.tar", "checkpoint.tar", "vae/best.tar", "ctrl/best.tar")

FLAGS = (
    *("--env", "--stage", "--generate_only", "--test", "--data_dir", "--logdir", "--latent_size", "--rnn_hidden"),
    *("--vae_epochs", "--rnn_epochs", "--ctrl_pop_size"),
)

OTHERS = {
    # Of PyTorch, Gymnasium, numpy, Python and the field.
    *("RMSprop", "DataLoader", "Conv2D", "ConvTranspose2d", "LSTMCell", "NotImplementedError", "ValueError", "TorchWM"),
    *("pin_memory", "action_space", "observation_space", "size_average", "dict", "len", "GPUs"),
    "next_hidden",  # of a table that says what MDRNNCell gives
}
"""Words of the text that look like names and are none of ours."""

SIGNATURES = {
    "ConvVAEEncoder": {"img_channels": None, "latent_size": None},
    "ConvVAEDecoder": {"latent_size": None, "img_channels": None},
    "ConvVAE": {"img_channels": None, "latent_size": None},
    "_MDRNNBase": dict.fromkeys(("latents", "actions", "hiddens", "gaussians")),
    "MDRNN": dict.fromkeys(("latents", "actions", "hiddens", "gaussians")),
    "MDRNNCell": dict.fromkeys(("latents", "actions", "hiddens", "gaussians")),
    "Controller": dict.fromkeys(("latent_size", "hidden_size", "action_size")),
    "conv_vae_loss_fn": dict.fromkeys(("reconst", "x", "mu", "logsigma")),
    "gmm_loss": {**dict.fromkeys(("latent_next_obs", "mus", "sigmas", "logpi")), "reduce": True},
    "EarlyStopping": {"mode": "min", **dict.fromkeys(("patience", "threshold", "threshold_mode"))},
    "ReduceLROnPlateau": dict.fromkeys(("optimizer", "mode", "factor", "patience", "threshold_mode", "min_lr", "...")),
    **{
        name: {"root": None, "transform": None, "train": True, "buffer_size": None, "num_test_files": 600}
        for name in ("RolloutDataset", "ObservationDataset")
    },
    "SequenceDataset": dict.fromkeys(("root", "transform", "train", "buffer_size", "num_test_files", "seq_len")),
    "LatentSequenceDataset": dict.fromkeys(
        ("latents_arr", "actions", "rewards", "terminals", "train", "buffer_size", "num_test_files", "seq_len")
    ),
    "generate_rollouts": {
        "data_dir": None,
        "env_name": None,
        "num_rollouts": 1000,
        "seq_len": 1000,
        "num_workers": 8,
    },
    "test_trained_model": {"logdir": None, "env_name": None, "action_size": None, "num_episodes": 5},
    "train_convae": {"config": None},
    "precompute_latents": {"vae_config": None, "mdrnn_config": None},
    "train_mdn_rnn": {"vae_config": None, "mdrnn_config": None},
    "get_loss": dict.fromkeys(
        (
            *("mdrnn", "latent_obs", "action", "reward", "terminal", "latent_next_obs"),
            *("include_reward", "latent_size"),
        )
    ),
    "flatten_parameters": {"parameters": None},
    "load_parameters": {"params": None, "controller": None},
    "train_controller": {"config": None},
    "_run_rollout": dict.fromkeys(("ctrl_params", "logdir", "env_name", "action_size", "time_limit", "device")),
    "GymImageEnv": {"env": None, "size": (64, 64), "...": None},
}
"""Parameters in their order, with the documented default or None where none is written; "...": there are others."""
