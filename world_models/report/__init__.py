"""The report of a run: learning curves, sample sheets, a dream, a video, one HTML page."""

from world_models.report.write import write_report

__all__ = ["write_report"]
