"""Users' age, gender and occupation, in columns."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

OCCUPATIONS: Final = (
    "other or not specified", "academic/educator", "artist", "clerical/admin",
    "college/grad student", "customer service", "doctor/health care", "executive/managerial",
    "farmer", "homemaker", "K-12 student", "lawyer", "programmer", "retired", "sales/marketing",
    "scientist", "self-employed", "technician/engineer", "tradesman/craftsman", "unemployed",
    "writer",
)  # fmt: skip
"""MovieLens 1M's occupations, by their number there."""

GENDERS: Final = ("F", "M")
ADULT_AGE: Final = 18
MIN_AGE: Final = 8
MAX_AGE: Final = 90

_PUPIL: Final = OCCUPATIONS.index("K-12 student")
_STUDENT: Final = OCCUPATIONS.index("college/grad student")
_RETIRED: Final = OCCUPATIONS.index("retired")

# Lower ends of the age bands that preferences depend on.
AGE_BANDS: Final = (0, 13, 18, 25, 35, 45, 60)


@dataclass(frozen=True, slots=True)
class UserDemographics:
    """n users; user i has the id i + 1. All columns have the shape (n,).

    `gender` and `occupation` are indices into GENDERS and OCCUPATIONS.
    """

    age: U8
    gender: U8
    occupation: U8

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.age)

    @property
    def band(self) -> npt.NDArray[np.intp]:
        """Return each user's index into AGE_BANDS."""
        return np.searchsorted(AGE_BANDS, self.age, side="right") - 1


def generate(count: int, rng: np.random.Generator) -> UserDemographics:
    """Return `count` users, 57 in 100 of them male, most between 18 and 45."""
    age = np.clip(MIN_AGE + rng.gamma(3.0, 9.0, count), MIN_AGE, MAX_AGE).astype(np.uint8)
    gender = (rng.random(count) < 0.57).astype(np.uint8)  # noqa: PLR2004  see above
    return UserDemographics(age, gender, _occupations(age, rng))


def _occupations(age: U8, rng: np.random.Generator) -> U8:
    """Return occupations that go with the ages: pupils, students, the retired."""
    free = [i for i in range(len(OCCUPATIONS)) if i not in (_PUPIL, _STUDENT, _RETIRED)]
    jobs = rng.choice(np.array(free, np.uint8), len(age))
    chance = rng.random(len(age))
    is_student = (age >= ADULT_AGE) & (age < 25) & (chance < 0.6)  # noqa: PLR2004  ages
    is_retired = (age >= 62) & (chance < 0.8)  # noqa: PLR2004  ages
    jobs[is_student] = _STUDENT
    jobs[is_retired] = _RETIRED
    jobs[age < ADULT_AGE] = _PUPIL
    return jobs
