"""Format a generated history as log lines."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from simulator import log_line_format
from simulator.history_generator import CREATE_ACCOUNT, RATE, RECOMMEND, WATCH, History
from simulator.local_clock import UTC_CLOCK, LocalClock
from simulator.request_errors import FAILED, OK, Server, random_error
from simulator.synthetic_world import World

Array = npt.NDArray[Any]


def texts(
    history: History,
    world: World,
    server: Server,
    rng: np.random.Generator,
    clock: LocalClock = UTC_CLOCK,
) -> list[str]:
    """Return the line of each row of `history`."""
    formatted = np.empty(len(history), dtype=object)
    names = np.array(world.films.ids, dtype=object)
    history = dataclasses.replace(history, time_s=clock.local_s(history.time_s))
    whole = log_line_format.whole_second_texts(history.time_s)
    for kind, line in ((WATCH, log_line_format.watch_lines), (RATE, _rate_lines)):
        here = np.flatnonzero(history.kind == kind)
        formatted[here] = line(
            [whole[i] for i in here.tolist()],
            (history.user[here] + 1).tolist(),
            names[history.film[here]].tolist(),
            history.value[here].tolist(),
        )
    for i in np.flatnonzero(history.kind == RECOMMEND).tolist():
        formatted[i] = _recommend_line(history, i, names, server, rng)
    for i in np.flatnonzero(history.kind == CREATE_ACCOUNT).tolist():
        formatted[i] = log_line_format.create_account_line(
            _exact_time(history, i), int(history.user[i]) + 1
        )
    return formatted.tolist()


def _rate_lines(
    times: list[str], user_ids: list[int], movie_ids: list[str], ratings: list[int]
) -> list[str]:
    rows = zip(times, user_ids, movie_ids, ratings, strict=True)
    return [log_line_format.rate_line(*row) for row in rows]


def _exact_time(history: History, i: int) -> str:
    time_ns = int(history.time_s[i]) * log_line_format.NANOS + int(history.nanos[i])
    return log_line_format.time_text(time_ns)


def _recommend_line(
    history: History, i: int, names: Array, server: Server, rng: np.random.Generator
) -> str:
    request = int(history.value[i])
    status, latency_ms = OK, int(history.latency_ms[request])
    if history.failed[request]:
        status = FAILED
        result, latency_ms = random_error(server, rng)
    else:
        result = log_line_format.id_list(names[history.lists[request]].tolist())
    return log_line_format.recommend_line(
        _exact_time(history, i),
        int(history.user[i]) + 1,
        server=server.name,
        status=status,
        result=result,
        latency_ms=latency_ms,
    )
