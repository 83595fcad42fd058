"""Judge a data set's report: hard rules that are broken, and warnings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from movierec.quality import drift
from movierec.quality.drift import Drift, Histogram
from movierec.quality.limits import (
    DEFAULT,
    DUPLICATES_WARN,
    LEAST_DAYS,
    NEW_TITLES_WARN,
    REFERENCES_WARN,
    Limits,
)

# Of attributes that follow the week: not compared between shorter histories.
_OF_THE_WEEK: Final = ("hours", "kinds")

# Fewer events of a kind than this may be none by chance.
_ENOUGH: Final = 100


@dataclass(frozen=True, slots=True)
class Released:
    """The last released data set: what the next one is compared with."""

    model_version: str
    dataset_id: str
    profile: Mapping[str, Any]
    movie_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a data set is judged by."""

    released: Released | str
    """The last released data set, or why there is none."""
    limits: Limits = DEFAULT
    accept_drift: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest keeps, so that the report can be made again."""
        known = self.released
        return {
            "released": known
            if isinstance(known, str)
            else {"model_version": known.model_version, "dataset_id": known.dataset_id},
            "limits": asdict(self.limits),
            "accept_drift": self.accept_drift,
        }


@dataclass(frozen=True, slots=True)
class Compared:
    """A data set compared with the released one; without one `note` says so."""

    note: str = ""
    drifts: tuple[Drift, ...] = ()
    catalog: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        attributes = {
            each.attribute: {
                "level": each.level,
                "psi": round(each.psi, 6),
                "psi_by_chance": None
                if each.by_chance == float("inf")
                else round(each.by_chance, 6),
                "ks": None if each.ks is None else round(each.ks, 6),
                "p_value": None if each.p_value is None else float(f"{each.p_value:.4g}"),
                "unseen": list(each.unseen),
                "unseen_share": round(each.unseen_share, 6),
            }
            for each in self.drifts
        }
        return {"note": self.note, "attributes": attributes, "catalog": dict(self.catalog)}


def compare(
    profile: Mapping[str, Any], movie_ids: Sequence[str], released: Released | str
) -> Compared:
    """Return the drift since the released data set, or why there is none to compare with."""
    if isinstance(released, str):
        return Compared(released)
    before = released.profile
    short = min(before["days"], profile["days"]) < LEAST_DAYS
    drifts = [
        drift.compare(name, Histogram.read(before["histograms"][name]), Histogram.read(values))
        for name, values in profile["histograms"].items()
        if name in before["histograms"] and not (short and name in _OF_THE_WEEK)
    ]
    note = f"{' and '.join(_OF_THE_WEEK)} are compared from {LEAST_DAYS:g} days on" if short else ""
    old, new = set(released.movie_ids), set(movie_ids)
    catalog = {
        "movies": len(new),
        "movies_before": len(old),
        "new_share": len(new - old) / len(new) if new else 0.0,
        "gone_share": len(old - new) / len(old) if old else 0.0,
    }
    return Compared(note, tuple(drifts), catalog)


def broken(report: Mapping[str, Any], compared: Compared, judgement: Judgement) -> list[str]:
    """Return each hard rule that is broken, in words; drift that is accepted breaks none."""
    limits, released = judgement.limits, judgement.released
    found = [
        *_kinds(report["rows"]["by_kind"], limits, released),
        *_over("of events are there twice", report["duplicates"]["share"], limits.duplicate_share),
        *_violations(report["values"], limits),
        *_references(report["profile"]["references"], limits, released),
    ]
    drifts = [f"drift of {each.text}" for each in compared.drifts if each.level == "stop"]
    return found if judgement.accept_drift else found + drifts


def warnings(report: Mapping[str, Any], compared: Compared) -> list[str]:
    """Return what is unusual and stops nothing."""
    catalog = compared.catalog
    found = [
        *_over("of events are there twice", report["duplicates"]["share"], DUPLICATES_WARN),
        *(
            f"{side['share']:.1%} of interactions are of {name} that the table of {name} lacks"
            for name, side in report["profile"]["references"].items()
            if side["share"] > REFERENCES_WARN
        ),
        *(
            f"{counted['rows']:,} rows of {name} all have the same {column}"
            for name, counted in report["values"].items()
            for column, values in counted["fields"].items()
            if values.get("constant")
        ),
        *(
            f"{values['violations']:,} of {counted['rows']:,} rows of {name} break what is declared"
            f" of {column}"
            for name, counted in report["values"].items()
            for column, values in counted["fields"].items()
            if values["violations"]
        ),
        *(f"drift of {each.text}" for each in compared.drifts if each.level != "same"),
    ]
    for share, what in (("new_share", "are new"), ("gone_share", "of before are gone")):
        if catalog.get(share, 0.0) > NEW_TITLES_WARN:
            found.append(f"{catalog[share]:.1%} of movies {what} since the released data set")
    return found


def _kinds(by_kind: Mapping[str, int], limits: Limits, released: Released | str) -> Iterator[str]:
    for kind in limits.required_kinds:
        if not by_kind.get(kind):
            yield f"there is no event of kind {kind}"
    if isinstance(released, str):
        return
    before = released.profile["histograms"]["kinds"]["counts"]
    for kind, n in before.items():
        if n >= _ENOUGH and not by_kind.get(kind) and kind not in limits.required_kinds:
            yield f"there is no event of kind {kind}: the released data set had {n:,}"


def _violations(values: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    for name, counted in values.items():
        for column, found in counted["fields"].items():
            share = found["violations"] / counted["rows"] if counted["rows"] else 0.0
            most = limits.outside_scale_share if column == "rating" else limits.violation_share
            what = "is outside of the site's scale" if column == "rating" else "is not as declared"
            yield from _over(f"of {name}: {column} {what}", share, most)


def _references(
    references: Mapping[str, Any], limits: Limits, released: Released | str
) -> Iterator[str]:
    movies, users = references.get("movies"), references.get("users")
    if movies:
        yield from _over(
            "of interactions are of movies that the catalog lacks",
            movies["share"],
            limits.unknown_movie_share,
        )
    before = None if isinstance(released, str) else released.profile["references"].get("users")
    if users and before and before["share"] <= limits.unknown_user_share:
        yield from _over(
            f"of interactions are of users without a row ({before['share']:.1%} in the released"
            " data set)",
            users["share"],
            limits.unknown_user_share,
        )


def _over(what: str, share: float, most: float) -> Iterator[str]:
    if share > most:
        yield f"{share:.1%} {what}, more than {most:.1%}"
