"""Whether any list can be judged: of a site on another clock or topic, no line is near any list.

Such lists look like lists that nobody watches: canary and stable would be alike, and a release
would wait until its limit and be rolled back.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from functions.evaluate_online.lake_window import SERVED_IN_WINDOW, Versions, Window, day
from functions.evaluate_online.outcomes import us
from movierec.lake.ports import LakeReader
from movierec.lake.queries import ASSUMED_CLOCK, columns
from movierec.lake.schema import EVENTS, SERVED

# How long a list's first line may take to be in the lake.
_ARRIVES_WITHIN: Final = timedelta(seconds=60)
# How far the site's clock and the proxy's may differ for a line to be of a list.
_CLOCKS_WITHIN: Final = timedelta(seconds=60)


def refusal(
    lake: LakeReader, versions: Versions, since: datetime, now: datetime, horizon_s: float
) -> str:
    """Return why no list since then can be judged, "" if some can: no line is near any of them.

    Lists whose horizon is not over yet do not count. A line is near a list if it is of the same
    user, of any kind, within the horizon: the site logs each list that it got.
    """
    due = now - timedelta(seconds=horizon_s) - _ARRIVES_WITHIN
    if SERVED.name not in versions or due <= since:
        return ""
    fill = Window(since, due, horizon_s).fill() | {
        "before_us": str(us(_CLOCKS_WITHIN.total_seconds())),
        "last_day": day(now),
    }
    served = columns(lake, _DUE.format_map(fill), {SERVED.name: versions[SERVED.name]})
    lists = int(served["lists"][0])
    if not lists:
        return ""
    assumed = 0
    if EVENTS.name in versions:
        near, assumed = _lines(lake, versions, fill)
        if near:
            return ""
    first, last = (
        datetime.fromtimestamp(int(served[name][0]) / 1_000_000, UTC) for name in ("first", "last")
    )
    between = f"{first:%Y-%m-%d %H:%M:%S} and {last:%Y-%m-%d %H:%M:%S} UTC"
    passed_over = f"; {assumed:,} lines on an assumed clock do not count" if assumed else ""
    return (
        f"no line of the site matches any of the {lists:,} lists that were served between {between}"
        f"{passed_over}: clocks? topic? see `movierec status`"
    )


def _lines(lake: LakeReader, versions: Versions, fill: Mapping[str, str]) -> tuple[bool, int]:
    """Return whether a line is near any list, and how many are on an assumed clock."""
    tables = {name: versions[name] for name in (EVENTS.name, SERVED.name)}
    near = columns(lake, _NEAR.format_map(fill), tables)["near"]
    events = {EVENTS.name: versions[EVENTS.name]}
    assumed = columns(lake, _ASSUMED.format_map(fill), events)["lines"]
    return len(near) > 0, int(assumed[0])


_DUE: Final = f"""
select count(*) lists, coalesce(cast(min(served_at) as bigint), 0) as first,
       coalesce(cast(max(served_at) as bigint), 0) as last {SERVED_IN_WINDOW}
"""

_NEAR: Final = f"""
select true near from (select user_id, cast(served_at as bigint) as at {SERVED_IN_WINDOW}) s
join (select user_id, cast(event_time as bigint) as at from events
      where event_date >= {{first_day}} - interval '1 day' and event_date <= {{last_day}}
        and not {ASSUMED_CLOCK}) e
  on s.user_id = e.user_id
where e.at >= s.at - {{before_us}} and e.at <= s.at + {{slot_us}} limit 1
"""  # noqa: S608  times

_ASSUMED: Final = f"""
select count(*) lines from events where event_date >= {{first_day}} - interval '1 day'
  and event_date <= {{last_day}} and {ASSUMED_CLOCK}
"""  # noqa: S608  ours
