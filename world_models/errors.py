"""One family of errors: each message says what is wrong, where, and the mend.

The command line catches `WorldModelsError` alone, prints its sentence and exits with code 2; anything
else is a defect of ours and keeps its traceback.
"""


class WorldModelsError(Exception):
    """Anything that a user can mend: settings, data, checkpoints, environments, missing packages."""


class ConfigError(WorldModelsError, ValueError):
    """A setting has a value that cannot work; the message names the field and the value."""


class DataError(WorldModelsError, ValueError):
    """A rollout or latents file, or a folder of them, cannot be used; the message names the file."""


class CheckpointError(WorldModelsError, RuntimeError):
    """A checkpoint is missing, is not one, or has other sizes than asked for."""


class EnvironmentNameError(WorldModelsError, ValueError):
    """An environment id that nothing provides; the message names the nearest one that exists."""


class ActionSpaceError(WorldModelsError, ValueError):
    """An action or observation space that the agent cannot be adapted to.

    `row` says which of the lanes that were reset or stepped it was, where that is known.
    """

    row: int | None = None


class ObservationError(ActionSpaceError):
    """What an environment's reset, step or render gave cannot be used; the message names it and the mend."""


class EnvironmentFailure(WorldModelsError, RuntimeError):
    """An environment raised while it was driven; the message names lane, seed and step, and has the traceback."""


class MissingDependencyError(WorldModelsError, ImportError):
    """An optional package is not installed; the message has the install line."""


class WorkerError(WorldModelsError, RuntimeError):
    """A worker process died or raised; the message carries its index and its traceback."""
