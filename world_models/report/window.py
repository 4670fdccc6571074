"""A window that shows pictures and hears keys; pygame is imported when the window opens."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, Self

from world_models.errors import MissingDependencyError
from world_models.types import UInt8Array

KEYS = "space: pause   S: one step   R: next seed   Q: quit"
UNSEEN = ("dummy", "offscreen", "evdev")  # SDL's drivers that draw for nobody; it falls back to them without a word
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
_PAUSED_FPS = 30


class Restart(Exception):
    """The viewer wants the next seed."""


class Quit(Exception):
    """The viewer has seen enough."""


class NoScreen(Exception):
    """There is nothing to open a window on."""


def has_screen() -> bool:
    """Whether somebody could see a window: on Linux there is a display, or SDL_VIDEODRIVER names a visible one."""
    if not sys.platform.startswith("linux"):
        return True
    if os.environ.get("SDL_VIDEODRIVER") in UNSEEN:
        return False
    return any(os.environ.get(name) for name in _DISPLAYS)


class Window:
    """A window of pictures.

    Raises:
        NoScreen: the system has no screen to open it on, or none that anybody sees.
        MissingDependencyError: pygame is not installed.
    """

    def __init__(self, title: str, fps: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise MissingDependencyError(
                "A window needs pygame: pip install pygame, or name a file (--out)."
            ) from error
        self._pygame: Any = pygame
        self._title, self._fps = title, fps
        self._screen: Any = None
        self._paused = self._step = False
        try:
            pygame.display.init()
        except pygame.error as error:
            raise NoScreen(str(error)) from error
        self._refuse_unseen()
        self._clock = pygame.time.Clock()

    def _refuse_unseen(self) -> None:
        driver = self._pygame.display.get_driver()
        if driver not in UNSEEN:
            return
        self._pygame.display.quit()
        named = [f"{name}={os.environ[name]}" for name in _DISPLAYS if os.environ.get(name)]
        raise NoScreen(f"{' and '.join(named) or 'this system'} leads to no display, SDL draws {driver}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pygame.display.quit()

    def show(self, picture: UInt8Array, hold: bool = False) -> None:
        """Shows a picture (H, W, 3) for a moment, or, paused or with `hold`, until a key says otherwise.

        Raises:
            Restart, Quit: what the viewer asked for.
        """
        self._draw(picture)
        self._hear()
        while (self._paused or hold) and not self._step:
            self._clock.tick(_PAUSED_FPS)
            self._draw(picture)
            self._hear()
            hold = hold and not self._step
        self._step = False
        self._clock.tick(self._fps)

    def _draw(self, picture: UInt8Array) -> None:
        size = (picture.shape[1], picture.shape[0])
        if self._screen is None:
            self._screen = self._pygame.display.set_mode(size, self._pygame.RESIZABLE)
            self._pygame.display.set_caption(self._title)
        surface = self._pygame.image.frombuffer(picture.tobytes(), size, "RGB")
        if self._screen.get_size() != size:
            surface = self._pygame.transform.smoothscale(surface, self._screen.get_size())
        self._screen.blit(surface, (0, 0))
        self._pygame.display.flip()

    def _hear(self) -> None:
        pygame = self._pygame
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                raise Quit
            if event.type == pygame.KEYDOWN:
                self._key(event.key)

    def _key(self, key: int) -> None:
        pygame = self._pygame
        if key in (pygame.K_q, pygame.K_ESCAPE):
            raise Quit
        if key in (pygame.K_r, pygame.K_n):
            self._paused = False
            raise Restart
        if key == pygame.K_SPACE:
            self._paused = not self._paused
        elif key in (pygame.K_s, pygame.K_RIGHT):
            self._paused = self._step = True
