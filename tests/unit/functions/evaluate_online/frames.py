"""Lists, viewings and ratings as one writes them down by hand; seconds from a Friday's 10:00."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from functions.evaluate_online.outcomes import Served, us

START = datetime(2026, 11, 20, 10, tzinfo=UTC)
START_US = us(START.timestamp())


def at(seconds):
    return START_US + us(seconds)


def iso(seconds):
    return (START + timedelta(seconds=seconds)).isoformat()


def answer(user, seconds, movies=(), version="3", *, source="model", status=200, ms=10.0, number=0):
    """Return one list; `movies` are numbers."""
    return {
        "user_id": user,
        "served_at": at(seconds),
        "number": number,
        "function_version": version,
        "model_version": f"m{version}",
        "source": source,
        "status": status,
        "latency_ms": ms,
        "movies": list(movies),
    }


def served(*answers):
    """Return the attributed ones of these lists."""
    return Served.attributed(*columns(answers))


def columns(answers):
    names = list(answer(1, 0))[:-1]
    rows = pd.DataFrame({name: [row[name] for row in answers] for name in names})
    width = max((len(row["movies"]) for row in answers), default=1) or 1
    movies = [row["movies"] + [-1] * (width - len(row["movies"])) for row in answers]
    return rows, np.array(movies, np.int32).reshape(len(answers), width)


def watched(*rows):
    """Return viewings of rows (user, movie, first second, last second, share)."""
    users, movies, first, last, share = zip(*rows, strict=True) if rows else ((),) * 5
    return pd.DataFrame(
        {
            "user_id": np.array(users, np.int64),
            "movie": np.array(movies, np.int32),
            "first": np.array([at(s) for s in first], np.int64),
            "last": np.array([at(s) for s in last], np.int64),
            "share": np.array(share, np.float32),
        }
    )


def rated(*rows):
    """Return ratings of rows (user, movie, second, rating)."""
    users, movies, seconds, ratings = zip(*rows, strict=True) if rows else ((),) * 4
    return pd.DataFrame(
        {
            "user_id": np.array(users, np.int64),
            "movie": np.array(movies, np.int32),
            "at": np.array([at(s) for s in seconds], np.int64),
            "rating": np.array(ratings, np.int16),
        }
    )
