"""Native frames to stored frames, as environments are seen; rollout files are resized by the same function."""

from world_models.vision.resize import resize_frames

__all__ = ["resize_frames"]
