"""`world-models export onnx|web|run`: graphs, the page to dream in, or a run to pass on."""

from __future__ import annotations

import argparse
from typing import Any

from world_models.commands.flags import Flags
from world_models.envs.choices import BACKENDS, EVALUATION_SEED

_WITHOUT = {"vae": "no V: encoder, decoder", "mdrnn": "no M: memory", "ctrl": "no C: controller"}


def add(parser: argparse.ArgumentParser) -> None:
    """The three exports and their flags."""
    kinds = parser.add_subparsers(dest="kind", required=True)
    graphs = kinds.add_parser("onnx", help="encoder, decoder, memory and controller as .onnx files")
    _add_common(graphs)
    graphs.set_defaults(work=_export_onnx)
    page = kinds.add_parser("web", help="a static page on which one drives inside the dream")
    flags = _add_common(page)
    flags.add("dream", "--starts", type=int, default=4, metavar="N", help="the dream can begin in", unit="episodes")
    flags.add("dream", "--seed", type=int, default=EVALUATION_SEED, metavar="N", help="of the first of them")
    flags.add("environment", "--backend", choices=BACKENDS, default="auto", help="simulator that draws them")
    page.set_defaults(work=_export_web)
    run = kinds.add_parser("run", help="what is used of a run, small, to pass on")
    flags = Flags(run)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder")
    flags.add("output", "--out", required=True, metavar="DIR", help="a new folder")
    flags.add(
        "output", "--half_memory", action="store_true", default=False, help="M's weights as bfloat16, as V's always are"
    )
    run.set_defaults(work=_export_run)


def _add_common(parser: argparse.ArgumentParser) -> Flags:
    flags = Flags(parser)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder")
    flags.add("output", "--out", required=True, metavar="DIR", help="the folder to write")
    flags.add("environment", "--env", metavar="ID", help="Gymnasium id", usually="the controller's")
    flags.add_env_kwargs("the controller's")
    return flags


def _export_run(args: argparse.Namespace) -> None:
    from world_models.runs.pack import pack_run

    _list(pack_run(args.logdir, args.out, args.half_memory))


def _list(written: Any) -> None:
    for name, size in written.sizes.items():
        print(f"{written.folder / name}: {_megabytes(size)}")


def _export_onnx(args: argparse.Namespace) -> None:
    from world_models.web.export import export_onnx

    export = export_onnx(args.logdir, args.out, args.env, args.env_kwargs)
    _list(export)
    for stage in export.missing:
        print(f"not exported, as {args.logdir} has {_WITHOUT[stage]}")


def _export_web(args: argparse.Namespace) -> None:
    from world_models.runs.evaluation import run_recipe
    from world_models.web.site import export_site

    recipe = run_recipe(args.logdir, args.env, args.backend, env_kwargs=args.env_kwargs)
    site = export_site(recipe, args.out, starts=args.starts, seed=args.seed)
    print(f"{site.folder}: {_megabytes(site.total)}, {_megabytes(site.compressed)} where the host compresses (gzip)")
    print("A web server has to serve it, any will do; opened as a file it does not run.")
    print(f"Look at it: python -m http.server -d {site.folder}, then open http://localhost:8000")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
