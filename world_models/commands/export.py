"""`world-models export onnx|web|run`: flags and what is printed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from world_models.envs.env_kwargs import add_env_kwargs
from world_models.rollout.driver import BACKENDS, Recipe
from world_models.web.export import export_onnx
from world_models.web.site import export_site

_WITHOUT = {"vae": "no V: encoder, decoder", "mdrnn": "no M: memory", "ctrl": "no C: controller"}


def add_export(parser: argparse.ArgumentParser, run_recipe: Callable[..., Recipe], pack: Callable[..., Any]) -> None:
    """The exports; what makes a trained run's recipe and what packs a run stand in a layer above this one.

    Args:
        parser: Of `export`.
        run_recipe: (logdir, env, backend, env_kwargs=) -> Recipe.
        pack: (logdir, out, half_memory) -> what was written, with `folder` and `sizes`.
    """
    kinds = parser.add_subparsers(dest="kind", required=True)
    graphs = kinds.add_parser("onnx", help="encoder, decoder, memory and controller as .onnx files")
    page = kinds.add_parser("web", help="a static page on which one drives inside the dream")
    for each in (graphs, page):
        each.add_argument("--logdir", required=True, help="the run's folder")
        each.add_argument("--out", required=True, metavar="DIR", help="the folder to write")
        each.add_argument("--env", metavar="ID", help="another environment than the controller's")
        add_env_kwargs(each, "what that is made with (the controller's)")
    graphs.set_defaults(work=_export_onnx)
    page.add_argument("--starts", type=int, default=4, metavar="N", help="episodes the dream can begin in (4)")
    page.add_argument("--seed", type=int, default=10_000, help="of the first episode that is driven (10000)")
    page.add_argument("--backend", choices=BACKENDS, default="auto", help="which drawing of the environment (auto)")
    page.set_defaults(work=lambda args: _export_web(args, run_recipe))
    run = kinds.add_parser("run", help="what is used of a run, small, to pass on")
    run.add_argument("--logdir", required=True, help="the run's folder")
    run.add_argument("--out", required=True, metavar="DIR", help="a new folder")
    run.add_argument("--half_memory", action="store_true", help="M's weights as bfloat16, as V's always are")
    run.set_defaults(work=lambda args: _list(pack(args.logdir, args.out, args.half_memory)))


def _list(written: Any) -> None:
    for name, size in written.sizes.items():
        print(f"{written.folder / name}: {_megabytes(size)}")


def _export_onnx(args: argparse.Namespace) -> None:
    export = export_onnx(args.logdir, args.out, args.env, args.env_kwargs)
    _list(export)
    for stage in export.missing:
        print(f"not exported, as {args.logdir} has {_WITHOUT[stage]}")


def _export_web(args: argparse.Namespace, run_recipe: Callable[..., Recipe]) -> None:
    recipe = run_recipe(args.logdir, args.env, args.backend, env_kwargs=args.env_kwargs)
    site = export_site(recipe, args.out, starts=args.starts, seed=args.seed)
    print(f"{site.folder}: {_megabytes(site.total)}, {_megabytes(site.compressed)} where the host compresses (gzip)")
    print("A web server has to serve it, any will do; opened as a file it does not run.")
    print(f"Look at it: python -m http.server -d {site.folder}, then open http://localhost:8000")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
