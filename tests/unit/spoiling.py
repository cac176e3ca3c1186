"""JSON with wrong types everywhere: some values of a good file, replaced by something else."""

import copy
import random

JUNK = (
    None,
    True,
    -1,
    0,
    5,
    10**30,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "5",
    "\ud800",
    [],
    [[]],
    {},
    {"id": 1},
    "11111111-1111-4111-8111-111111111111",
)


def places(data, path=()):
    """The ways to every value in a file."""
    for key, value in (
        data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    ):
        yield (*path, key)
        yield from places(value, (*path, key))


def spoiled(data, seed: int):
    """A copy with some values, anywhere, replaced by something else, or taken from elsewhere."""
    rng = random.Random(seed)
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, 6)):
        every = list(places(data))
        *way, last = rng.choice(every)
        place = data
        for key in way:
            place = place[key]
        other = data
        for key in rng.choice(every):
            other = other[key]
        place[last] = copy.deepcopy(other if rng.random() < 0.3 else rng.choice(JUNK))
    return data
