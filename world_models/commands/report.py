"""`world-models report`: one HTML page of a run."""

from __future__ import annotations

import argparse

from world_models.commands.flags import Flags


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    flags = Flags(parser)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder")
    flags.add("run", "--data_dir", metavar="DIR", help="rollouts to tell of, and to show V and M on", usually="none")
    flags.add("output", "--out", metavar="DIR", help="the report's folder", usually="<logdir>/report")
    flags.add(
        "output", "--video", action=argparse.BooleanOptionalAction, default=True, help="drive and film one episode"
    )
    flags.add("output", "--seed", type=int, metavar="N", help="of that episode", usually="the median of those scored")
    flags.add_env_kwargs("the controller's")
    parser.set_defaults(work=_report)


def _report(args: argparse.Namespace) -> None:
    from world_models.runs.report import report_run

    more = {"seed": args.seed, "video": args.video, "env_kwargs": args.env_kwargs}
    print(report_run(args.logdir, args.data_dir, args.out, **more))
