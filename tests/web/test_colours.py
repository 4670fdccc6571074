"""The exported page's colours, in its light and its dark scheme."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np


def test_every_text_stands_out_from_its_ground() -> None:
    style = (files("world_models.web") / "static" / "style.css").read_text("utf-8")
    schemes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.S)
    ]
    assert len(schemes) == 2
    grounds = {
        "text": ("ground", "surface", "track"),
        "soft": ("ground", "surface"),
        "accent": ("ground", "surface", "raised"),
        "on-accent": ("accent",),
    }
    for scheme in schemes:
        for text, behind in grounds.items():
            for ground in behind:
                assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)
        assert contrast(scheme["edge"], scheme["ground"]) >= 3  # switches, sliders and fields (WCAG 1.4.11)


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
