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

from world_models.types import DoubleArray

_SIDE = 96
_FINE = 3  # pixels painted for one of the observation; pygame shrinks by powers of two with a coarser filter
_PANEL = 84  # from this row on lies the instrument panel, which nobody here looks at: it stays black
_SURFACE = (_SIDE * _FINE, _PANEL * _FINE)
_HALF = np.array(_SURFACE) / 2
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
        self._surface = pygame.Surface(_SURFACE, depth=32)
        fine = _SIDE * _FINE
        self._scale = np.array([fine / car_racing.WINDOW_W, -fine / car_racing.WINDOW_H])  # y goes up in the window
        self._ground: _Ground | None = None
        self._car: _Car | None = None

    def render(self, mode: str) -> Any:
        """What the environment's `_render` gives; for "state_pixels" (96, 96, 3) uint8, drawn here."""
        env = self._env
        if mode != "state_pixels" or "t" not in env.__dict__:
            return self._own_render(mode)
        if self._ground is None or self._ground.road is not env.road_poly:
            self._ground = _Ground(env, self._track_numbers)
        if self._car is None or self._car.car is not env.car:
            self._car = _Car(env.car, self._car_numbers)
        zoom, turn, shift, far = self._camera()
        field_fills_view = far < self._track_numbers.PLAYFIELD
        self._surface.fill(self._ground.field_color if field_fills_view else (0, 0, 0))
        self._paint(*self._ground.in_sight(turn, shift, zoom * np.abs(self._scale), int(field_fills_view)))
        self._paint(*self._car.polygons(turn, shift))
        small = self._pygame.transform.smoothscale(self._surface, (_SIDE, _PANEL))
        picture = np.zeros((_SIDE, _SIDE, 3), np.uint8)
        picture[:_PANEL] = np.frombuffer(self._pygame.image.tobytes(small, "RGB"), np.uint8).reshape(_PANEL, _SIDE, 3)
        return picture

    def _camera(self) -> tuple[float, DoubleArray, DoubleArray, float]:
        """Zoom; turn (2, 2) and shift (2,): points @ turn + shift are on the surface; the farthest coordinate seen."""
        n, env = self._track_numbers, self._env
        zoom = 0.1 * n.SCALE * max(1 - env.t, 0) + n.ZOOM * n.SCALE * min(env.t, 1)
        x, y = env.car.hull.position
        c, s = math.cos(env.car.hull.angle), math.sin(env.car.hull.angle)
        turn = zoom * np.array([[c, -s], [s, c]])
        shift = np.array([n.WINDOW_W / 2, n.WINDOW_H / 4]) - np.array([x, y]) @ turn
        shift[1] -= n.WINDOW_H
        ahead, half_diagonal = n.WINDOW_H / 4 / zoom, math.hypot(n.WINDOW_W, n.WINDOW_H) / 2 / zoom
        far = max(abs(x - ahead * s), abs(y + ahead * c)) + half_diagonal
        return zoom, turn * self._scale, shift * self._scale, far

    def _paint(self, polygons: list[Any], colors: list[Any]) -> None:
        fill, surface = self._pygame.gfxdraw.filled_polygon, self._surface
        for polygon, color in zip(polygons, colors, strict=True):
            fill(surface, polygon, color)


def _on_surface(corners: DoubleArray, turn: DoubleArray, shift: DoubleArray) -> list[Any]:
    """Corners (..., 2) as the whole numbers of the pixels they are in."""
    return np.floor(corners @ turn + shift).astype(np.int64).tolist()  # type: ignore[no-any-return]


class _Car:
    """The polygons of one car. They are the same all the time, but for where each body is and the wheels' marks."""

    def __init__(self, car: Any, numbers: Any) -> None:
        self.car = car
        self._mark_size = numbers.SIZE * np.array([numbers.WHEEL_W, numbers.WHEEL_R])
        corners: list[DoubleArray] = []
        self._owners: list[int] = []  # which body each corner is on
        self._spans: list[slice] = []  # the corners of each polygon, in the order of painting
        self._colors: list[Any] = []
        self._marks: list[tuple[int, Any]] = []  # the polygons that are marks, and whose
        for k, body in enumerate(car.drawlist):
            painted = [np.array(fixture.shape.vertices) for fixture in body.fixtures]
            colors = [[int(255 * value) for value in body.color]] * len(painted)
            if "phase" in body.__dict__:
                self._marks.append((len(self._spans) + len(painted), body))
                painted.append(np.zeros((4, 2)))
                colors.append(numbers.WHEEL_WHITE)
            for polygon in painted:
                self._spans.append(slice(len(self._owners), len(self._owners) + len(polygon)))
                self._owners += [k] * len(polygon)
            corners += painted
            self._colors += colors
        self._corners = np.concatenate(corners)

    def polygons(self, turn: DoubleArray, shift: DoubleArray) -> tuple[list[Any], list[Any]]:
        """Polygons on the surface and their colours, in the order of painting."""
        hidden = set()
        for number, body in self._marks:
            if (mark := _wheel_mark(body.phase)) is None:
                hidden.add(number)
            else:
                self._corners[self._spans[number]] = self._mark_size * mark
        where = [(math.cos(body.angle), math.sin(body.angle), *body.position) for body in self.car.drawlist]
        c, s, x, y = np.array(where).T[:, self._owners]
        u, v = self._corners.T
        points = _on_surface(np.stack([c * u - s * v + x, s * u + c * v + y], axis=1), turn, shift)
        shown = [k for k in range(len(self._spans)) if k not in hidden]
        return [points[self._spans[k]] for k in shown], [self._colors[k] for k in shown]


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
        self, turn: DoubleArray, shift: DoubleArray, scale: DoubleArray, first: int = 0
    ) -> tuple[list[Any], list[Any]]:
        """What may lie on the surface, in the order of painting, which begins with the field; and the colours.

        Args:
            turn: points @ turn + shift are on the surface.
            scale: (2,) how much longer that makes a line, across and down.
        """
        away = np.abs(self._centres[first:] @ turn + (shift - _HALF))
        reach = self._radii[first:, None] * scale + (_HALF + 1)
        near = first + np.flatnonzero((away <= reach).all(1))
        return _on_surface(self._quads[near], turn, shift), self._colors[near].astype(np.int64).tolist()


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
