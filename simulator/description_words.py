"""Phrases and sentences that self-descriptions are made of."""

from typing import Final

GENRE_WORDS: Final = {
    "Action": ("action movies", "action", "car chases and explosions", "martial arts films"),
    "Adventure": ("adventures", "adventure films", "treasure hunts", "epic journeys"),
    "Animation": ("animated films", "animation", "cartoons", "anime"),
    "Comedy": ("comedies", "comedy", "funny movies", "anything that makes me laugh", "stand-up"),
    "Crime": ("crime stories", "gangster movies", "heist films", "true crime", "mafia stuff"),
    "Documentary": ("documentaries", "docs", "nature documentaries", "real-life stories"),
    "Drama": ("dramas", "drama", "serious character studies", "tearjerkers"),
    "Family": ("family movies", "films for the whole family", "kids' movies"),
    "Fantasy": ("fantasy films", "fantasy", "dragons and wizards", "magic and fairy tales"),
    "Foreign": ("foreign films", "world cinema", "subtitled movies", "arthouse from abroad"),
    "History": ("historical films", "period pieces", "costume dramas", "history"),
    "Horror": ("horror", "scary movies", "slashers", "creepy stuff", "ghost and zombie films"),
    "Music": ("musicals", "music films", "singing and dancing", "concert films"),
    "Mystery": ("mysteries", "whodunits", "detective stories", "puzzles with a twist"),
    "Romance": ("love stories", "romcoms", "romantic movies", "romance"),
    "Science Fiction": ("sci-fi movies", "science fiction", "space operas", "robots and aliens"),
    "Thriller": ("thrillers", "suspense", "edge-of-the-seat films", "psychological thrillers"),
    "War": ("war movies", "war films", "soldiers' stories", "military films"),
    "Western": ("westerns", "cowboy movies", "the wild west", "gunslingers"),
}
"""How people call each genre, the most common way first."""

LIKES: Final = (
    "I love {0} and {1}.",
    "Big fan of {0}.",
    "mostly {0}, sometimes {1}",
    "Give me {0} any day!",
    "{0}, {1}, {2}",
    "{0} / {1}",
    "After a long day I like {0}. On weekends {1} with friends.",
    "Anything with a good story, {0} above all.",
    "I grew up with {0} and still watch them all. My partner got me into {1}.",
    "Honestly {0} is my thing, {1} if I'm in the mood, and now and then {2}.",
    "looking for good {0}",
    "Can't get enough of {0}, but I also enjoy {1}.",
    "{0} first, then {1}, then a long time nothing.",
    "The older the better: {0}, {1}.",
)
"""What people say of the genres they like, the best liked first."""

LIKES_FILM: Final = (
    "Anything like {film}.",
    "{film} is one of my favorites.",
    "I could watch {film} again and again.",
    "I have seen {film} five times",
    "More films like {film} please!",
    "favorite movie: {film}",
    "Just watched {film} and loved it.",
    "{film} and {other} are the best.",
    "Loved {film}, {other} was good too",
)

LIKES_SHORT: Final = ("{0}", "{0}!", "{0} and {1}", "good {0}", "{film}", "{0}, {film}")

LIKES_WITHOUT: Final = ("Please no {0}.", "Anything but {0}.", "no {0} though", "I skip {0}.")
"""What some write into the field of likes although it belongs into the other."""

VAGUE: Final = (
    "anything good really",
    "idk, surprise me",
    "I just like movies.",
    "Everything!!",
    "depends on my mood",
    "Good stories, good actors.",
    "-",
    "I don't watch that much tbh",
)

ASIDE: Final = (
    "I usually watch late at night.",
    "We have two kids, so evenings are short.",
    "New here, my sister told me about this site.",
    "I have a soft spot for good photography.",
    "Not more than two hours please.",
    "Popcorn is a must.",
    "I study, so I mostly watch between exams.",
    "My dog watches with me :)",
)
"""What tells nothing of the taste."""

DISLIKES: Final = (
    "Not into {0} or {1}.",
    "{0} bore me",
    "I can't stand {0}!",
    "please no {0}, and I rarely finish {1}",
    "{0}. {1} too, most of the time.",
    "{0}",
    "{0}, {1}",
    "I never got the hype about {0}.",
    "Anything with {0}... and {1}, sorry",
    "I fall asleep during {0}.",
)

DISLIKES_FILM: Final = (
    "{film} was a waste of time.",
    "Hated {film}.",
    "could not finish {film}",
    "Please nothing like {film}",
)

DISLIKES_VAGUE: Final = ("nothing in particular", "bad acting", "boring ones", "too long movies")
