"""CarRacing's picture, drawn many times faster than Gymnasium draws it and nearly equal to it.

Of a step of Gymnasium's CarRacing 98 % is the picture: some five hundred polygons are turned one by one and
painted on 1000 x 800 pixels, which are then shrunk to 96 x 96. Here only what can be seen is painted, on three
times 96 x 96, and shrunk by the same filter. Physics, rewards, ends and tracks stay Gymnasium's own. How far
the pictures differ is measured by benchmarks/view.py.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, cast

import gymnasium
import numpy as np

from world_models.types import DoubleArray

_SIDE = 96
_FINE = 3  # pixels painted for one of the observation; pygame shrinks by powers of two with a coarser filter
_PANEL = 84  # from this row on lies the instrument panel, which nobody here looks at: it stays black
_WHITE_ARC = 1.2  # radians of a wheel that its white mark covers


class CarRacingView:
    """Draws the observations of one CarRacing environment.

    Args:
        env: The environment; its own `_render` goes on serving every mode but the observation's.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        import pygame.gfxdraw
        from gymnasium.envs.box2d import car_dynamics, car_racing

        self._pygame, self._track_numbers, self._car_numbers = pygame, car_racing, car_dynamics
        self._env = cast(Any, env.unwrapped)
        self._own_render: Any = self._env._render
        side = _SIDE * _FINE
        self._surface = pygame.Surface((side, side), depth=32)
        self._scale = np.array([side / car_racing.WINDOW_W, -side / car_racing.WINDOW_H])  # y goes up in the window
        self._ground: _Ground | None = None
        self._shapes: tuple[Any, list[list[DoubleArray]]] | None = None  # of the car's bodies; a reset makes new ones

    def render(self, mode: str) -> Any:
        """What the environment's `_render` gives; for "state_pixels" (96, 96, 3) uint8, drawn here."""
        env = self._env
        if mode != "state_pixels" or "t" not in env.__dict__:
            return self._own_render(mode)
        if self._ground is None or self._ground.road is not env.road_poly:
            self._ground = _Ground(env, self._track_numbers)
        zoom, turn, shift, middle = self._camera()
        if self._shapes is None or self._shapes[0] is not env.car:
            self._shapes = env.car, [_corners(body) for body in env.car.drawlist]
        distance = self._half_diagonal() / zoom
        field_fills_view = np.abs(middle).max() + distance < self._track_numbers.PLAYFIELD
        self._surface.fill(self._ground.field_color if field_fills_view else (0, 0, 0))
        self._paint(self._ground.in_sight(middle, distance, int(field_fills_view)), turn, shift)
        self._paint(self._car(), turn, shift)
        self._surface.fill((0, 0, 0), (0, _PANEL * _FINE, _SIDE * _FINE, (_SIDE - _PANEL) * _FINE))
        small = self._pygame.transform.smoothscale(self._surface, (_SIDE, _SIDE))
        return np.frombuffer(self._pygame.image.tobytes(small, "RGB"), np.uint8).reshape(_SIDE, _SIDE, 3)

    def _half_diagonal(self) -> float:
        n = self._track_numbers
        return math.hypot(n.WINDOW_W, n.WINDOW_H) / 2

    def _camera(self) -> tuple[float, DoubleArray, DoubleArray, DoubleArray]:
        """Zoom; turn (2, 2) and shift (2,): points @ turn + shift are on the surface; the point in its middle."""
        n, env = self._track_numbers, self._env
        zoom = 0.1 * n.SCALE * max(1 - env.t, 0) + n.ZOOM * n.SCALE * min(env.t, 1)
        x, y = env.car.hull.position
        c, s = math.cos(env.car.hull.angle), math.sin(env.car.hull.angle)
        turn = zoom * np.array([[c, -s], [s, c]])
        shift = np.array([n.WINDOW_W / 2, n.WINDOW_H / 4]) - np.array([x, y]) @ turn
        shift[1] -= n.WINDOW_H
        ahead = n.WINDOW_H / 4 / zoom
        return zoom, turn * self._scale, shift * self._scale, np.array([x - ahead * s, y + ahead * c])

    def _paint(self, painting: tuple[DoubleArray, list[int], list[Any]], turn: DoubleArray, shift: DoubleArray) -> None:
        """Polygons: all their corners one after the other (n, 2), where each one ends, their colours."""
        corners, ends, colors = painting
        points = np.floor(corners @ turn + shift).astype(np.int64).tolist()
        fill = self._pygame.gfxdraw.filled_polygon
        start = 0
        for end, color in zip(ends, colors, strict=True):
            fill(self._surface, points[start:end], color)
            start = end

    def _car(self) -> tuple[DoubleArray, list[int], list[Any]]:
        n = self._car_numbers
        assert self._shapes is not None
        corners: list[DoubleArray] = []
        colors: list[Any] = []
        for body, shapes in zip(self._env.car.drawlist, self._shapes[1], strict=True):
            painted = list(shapes)
            colors += [[int(255 * value) for value in body.color]] * len(shapes)
            if "phase" in body.__dict__ and (mark := _wheel_mark(body.phase)) is not None:
                painted.append(n.SIZE * np.array([n.WHEEL_W, n.WHEEL_R]) * mark)
                colors.append(n.WHEEL_WHITE)
            c, s = math.cos(body.angle), math.sin(body.angle)
            turn = np.array([[c, s], [-s, c]])
            position = np.array([body.position[0], body.position[1]])
            corners += [shape @ turn + position for shape in painted]
        return np.concatenate(corners), list(itertools.accumulate(map(len, corners))), colors


def _corners(body: Any) -> list[DoubleArray]:
    """Corners (n, 2) of each of a body's fixtures, in the body's own coordinates."""
    return [np.array(fixture.shape.vertices) for fixture in body.fixtures]


class _Ground:
    """Field, grass and road of one track as quadrilaterals."""

    def __init__(self, env: Any, numbers: Any) -> None:
        self.road = env.road_poly
        field, grass = numbers.PLAYFIELD, numbers.GRASS_DIM
        unit = np.array([(1, 0), (0, 0), (0, 1), (1, 1)])
        patches = [grass * (unit + np.array([x, y])) for x in range(-20, 20, 2) for y in range(-20, 20, 2)]
        quads = np.array([field * (2 * unit - 1), *patches, *(polygon for polygon, _ in self.road)])
        self._quads: DoubleArray = quads
        self._colors = self._shared_colors(env, [env.bg_color, *[env.grass_color] * len(patches)])
        self.field_color = _whole(env.bg_color)
        self._centres = quads.mean(1)
        self._radii = np.linalg.norm(quads - self._centres[:, None], axis=-1).max(1)

    def _shared_colors(self, env: Any, before: list[Any]) -> DoubleArray:
        """Colours (n, 3) whose rows the tiles hold from now on: what a touched tile becomes is seen here at once."""
        colors = np.array([*before, *(color for _, color in self.road)], dtype=np.float64)
        tiles = {id(tile.color): tile for tile in env.road}
        for k, (polygon, color) in enumerate(self.road):
            if (tile := tiles.get(id(color))) is not None:
                tile.color = colors[len(before) + k]
                self.road[k] = (polygon, tile.color)
        return colors

    def in_sight(
        self, middle: DoubleArray, distance: float, first: int = 0
    ) -> tuple[DoubleArray, list[int], list[Any]]:
        """What may lie within a distance of a point, in the order of painting, which begins with the field."""
        away = self._centres[first:] - middle
        near = first + np.flatnonzero((away * away).sum(1) <= (self._radii[first:] + distance) ** 2)
        colors = self._colors[near].astype(np.int64).tolist()
        return self._quads[near].reshape(-1, 2), list(range(4, 4 * len(near) + 1, 4)), colors


def _whole(color: Any) -> list[int]:
    return [int(value) for value in color]


def _wheel_mark(phase: float) -> DoubleArray | None:
    """Corners (4, 2), in the wheel's half widths and radii, of its white mark where that is on top."""
    s1, s2 = math.sin(phase), math.sin(phase + _WHITE_ARC)
    c1, c2 = math.cos(phase), math.cos(phase + _WHITE_ARC)
    if s1 > 0 and s2 > 0:
        return None
    c1 = math.copysign(1, c1) if s1 > 0 else c1
    c2 = math.copysign(1, c2) if s2 > 0 else c2
    return np.array([(-1, c1), (1, c1), (1, c2), (-1, c2)])
