"""What the searches are tried on."""

import numpy as np

TARGET = np.array([1.0, -2.0, 0.5])


def hill(points: np.ndarray) -> np.ndarray:
    """Highest, 10, at TARGET."""
    return 10 - ((points - TARGET) ** 2).sum(-1)


def climb(search, generations, fitness=hill) -> list[np.ndarray]:
    """So many generations; what was asked in each."""
    asked = []
    for _ in range(generations):
        asked.append(search.ask())
        search.tell(asked[-1], fitness(asked[-1]))
    return asked
