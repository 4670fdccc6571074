"""CarRacing's picture, drawn many times faster than Gymnasium draws it and nearly equal to it.

Of a step of Gymnasium's CarRacing 98 % is the picture: some five hundred polygons are turned one by one and
painted on 1000 x 800 pixels, which are then shrunk to 96 x 96. Here only what can be seen is painted, on three
times 96 x 96, and shrunk by the same filter. Physics, rewards, ends and tracks stay Gymnasium's own. How far
the pictures differ is measured by benchmarks/view.py.
"""

from __future__ import annotations

import math
from typing import Any, cast

import gymnasium
import numpy as np

from world_models.types import DoubleArray, IntArray

_SIDE = 96
_FINE = 3  # pixels painted for one of the observation; pygame shrinks by powers of two with a coarser filter
_PANEL = 84  # from this row on lies the instrument panel, which nobody here looks at: it stays black
_VIEW = np.array([_SIDE, _PANEL]) * _FINE  # what is painted and not covered by the panel, in pixels
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
        self._car: _Car | None = None

    def render(self, mode: str) -> Any:
        """What the environment's `_render` gives; for "state_pixels" (96, 96, 3) uint8, drawn here."""
        env = self._env
        if mode != "state_pixels" or "t" not in env.__dict__:
            return self._own_render(mode)
        if self._ground is None or self._ground.road is not env.road_poly:
            self._ground = _Ground(env, self._track_numbers)
        zoom, turn, shift, middle = self._camera()
        if self._car is None or self._car.car is not env.car:  # a reset makes a new one
            self._car = _Car(env.car, self._car_numbers)
        distance = self._half_diagonal() / zoom
        field_fills_view = np.abs(middle).max() + distance < self._track_numbers.PLAYFIELD
        self._surface.fill(self._ground.field_color if field_fills_view else (0, 0, 0))
        self._paint(self._ground.in_sight(middle, distance, int(field_fills_view), turn, shift))
        self._paint(self._car.painting(turn, shift))
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

    def _paint(self, painting: tuple[IntArray, list[int], list[Any]]) -> None:
        """Polygons: all their corners one after the other (n, 2) in pixels, where each one ends, their colours."""
        pixels, ends, colors = painting
        points = pixels.tolist()
        fill = self._pygame.gfxdraw.filled_polygon
        start = 0
        for end, color in zip(ends, colors, strict=True):
            fill(self._surface, points[start:end], color)
            start = end


def _pixels(corners: DoubleArray, turn: DoubleArray, shift: DoubleArray) -> IntArray:
    return np.floor(corners @ turn + shift).astype(np.int64)


class _Car:
    """A car's polygons: wheels, each with a place for its white mark over it, and the hull."""

    def __init__(self, car: Any, numbers: Any) -> None:
        self.car = car
        self._mark_size = numbers.SIZE * np.array([numbers.WHEEL_W, numbers.WHEEL_R])
        corners: list[DoubleArray] = []
        owners: list[int] = []
        self._colors: list[Any] = []
        self._marks: dict[int, int] = {}  # a wheel's number among the bodies -> its mark's among the polygons
        for number, body in enumerate(car.drawlist):
            shapes = [np.array(fixture.shape.vertices) for fixture in body.fixtures]
            self._colors += [[int(255 * value) for value in body.color]] * len(shapes)
            if "phase" in body.__dict__:
                self._marks[number] = len(corners) + len(shapes)
                shapes.append(np.zeros((4, 2)))
                self._colors.append(numbers.WHEEL_WHITE)
            corners += shapes
            owners += [number] * len(shapes)
        lengths = [len(each) for each in corners]
        self._corners = np.concatenate(corners)
        self._owner = np.repeat(owners, lengths)
        self._ends = np.cumsum(lengths).tolist()

    def painting(self, turn: DoubleArray, shift: DoubleArray) -> tuple[IntArray, list[int], list[Any]]:
        """As `_paint` takes it; a mark that is not on top is a point under its wheel."""
        bodies = self.car.drawlist
        for number, place in self._marks.items():
            mark = _wheel_mark(bodies[number].phase)
            end = self._ends[place]
            self._corners[end - 4 : end] = 0.0 if mark is None else self._mark_size * mark
        angles = np.array([body.angle for body in bodies])
        c, s = np.cos(angles)[self._owner], np.sin(angles)[self._owner]
        x, y = self._corners.T
        positions = np.array([(body.position[0], body.position[1]) for body in bodies])[self._owner]
        world = np.stack([c * x - s * y, s * x + c * y], -1) + positions
        return _pixels(world, turn, shift), self._ends, self._colors


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
        self, middle: DoubleArray, distance: float, first: int, turn: DoubleArray, shift: DoubleArray
    ) -> tuple[IntArray, list[int], list[Any]]:
        """What is to be seen, in the order of painting, which begins with the field.

        Of what lies within a distance of the view's middle those quadrilaterals that reach into it: painting one
        outside of it costs as much as one inside.
        """
        away = self._centres[first:] - middle
        near = first + np.flatnonzero((away * away).sum(1) <= (self._radii[first:] + distance) ** 2)
        pixels = _pixels(self._quads[near].reshape(-1, 2), turn, shift).reshape(-1, 4, 2)
        seen = ((pixels.max(1) >= 0) & (pixels.min(1) < _VIEW)).all(1)
        colors = self._colors[near[seen]].astype(np.int64).tolist()
        return pixels[seen].reshape(-1, 2), list(range(4, 4 * len(colors) + 1, 4)), colors


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
