"""A model as training publishes it says what pulled each movie of its lists."""

import pytest
from aws_lambda_powertools import Logger, Metrics

from functions.train_als import handler
from functions.train_als.handler import Dependencies
from movierec.cli import explain as command
from movierec.errors import ArtifactError, UsageError
from movierec.model import artifact, encoding, explanation, sealed_folder
from movierec.model import dataset as datasets
from movierec.model.segments import GROUPS
from movierec.runtime.stage_usage import StageUsage
from movierec.testing.memory import FakeClock, MemoryStore
from tests.unit.movierec.model.tastes import TASTES, tasteful

DATASET_ID = "0123456789abcdef"
DATASET = tasteful(1)


def trained(lists_from):
    """Return a store with a model whose lists are from `lists_from`, and its version."""
    files = datasets.pack(DATASET)
    files[sealed_folder.MANIFEST_FILE] = sealed_folder.seal(files, {"groups": list(GROUPS)})
    store = MemoryStore({datasets.key(DATASET_ID, name): body for name, body in files.items()})
    deps = Dependencies(
        store=store,
        clock=FakeClock(),
        code_version="abc",
        threads=1,
        memory_bytes=2_000_000_000,
        usage=lambda: StageUsage(lambda: 1, lambda: None),
        logger=Logger(service="test"),
        metrics=Metrics(namespace="movierec", service="test"),
    )
    event = {"dataset_id": DATASET_ID, "parameters": {"factors": 4, "iterations": 5}}
    version = handler.train_als(event, deps)["model_version"]
    key = artifact.key(version, sealed_folder.MANIFEST_FILE)
    facts = sealed_folder.open_manifest(store.get(key))
    store.put(key, encoding.dump_json({**facts, "lists_from": lists_from}))
    return store, version


@pytest.fixture(scope="module", params=["als", "blend"])
def published(request):
    return trained(request.param)


def test_every_movie_of_a_list_was_pulled_by_liked_titles_of_its_taste(published):
    store, version = published
    found = explanation.explain(store, version, 1, movies=5)
    own = slice(*DATASET.indptr[:2])
    liked = {
        DATASET.movie_ids[movie]
        for movie, strength in zip(DATASET.movies[own], DATASET.strength[own], strict=True)
        if strength > 0
    }
    assert found.liked == len(liked)
    assert len(found.movies) == 5
    for each in found.movies:
        assert each.pulls
        assert all(pull.movie_id in liked for pull in each.pulls)
        values = [pull.value for pull in each.pulls]
        assert values == sorted(values, reverse=True)
        assert 0 < sum(pull.share for pull in each.pulls) <= 1 + 1e-6
    assert int(found.movies[0].movie_id[1:]) % TASTES == 1


def test_the_list_is_the_one_that_is_served(published):
    store, version = published
    topk = encoding.load_npy("topk", store.get(artifact.key(version, artifact.TOPK_FILE)))
    found = explanation.explain(store, version, 2)
    assert [each.movie_id for each in found.movies] == [
        DATASET.movie_ids[movie] for movie in topk[1][:20].tolist()
    ]


def test_an_unknown_user_and_model_are_named_with_what_to_do(published):
    store, version = published
    with pytest.raises(UsageError, match=r"does not know user 777, .*movierec retrain"):
        explanation.explain(store, version, 777)
    with pytest.raises(UsageError, match=f"no model 20200101T000000Z-a-b: the newest is {version}"):
        explanation.explain(store, "20200101T000000Z-a-b", 1)


def test_a_model_from_before_is_named(published):
    store, version = published
    files = dict(store.objects)
    key = artifact.key(version, sealed_folder.MANIFEST_FILE)
    facts = sealed_folder.open_manifest(files[key])
    del facts["lists_from"]
    older = MemoryStore({**files, key: encoding.dump_json(facts)})
    with pytest.raises(UsageError, match="before explanations: train anew"):
        explanation.explain(older, version, 1)


def test_a_data_set_that_is_gone_is_named(published):
    store, version = published
    left = {k: body for k, body in store.objects.items() if not k.startswith(datasets.PREFIX)}
    with pytest.raises(ArtifactError, match=f"data set {DATASET_ID}.* is gone: train anew"):
        explanation.explain(MemoryStore(left), version, 1)


def test_the_shown_line_has_titles_where_the_catalog_has_them(published):
    store, version = published
    found = explanation.explain(store, version, 1, movies=1)
    first, strongest = found.movies[0], found.movies[0].pulls[0]
    head, line = command.lines(found, {first.movie_id: "Alien", strongest.movie_id: "Aliens"})
    assert version in head
    assert line.startswith("  1 Alien because of Aliens ")
    plain = command.to_json(found, {first.movie_id: "Alien"})
    assert plain["movies"][0]["title"] == "Alien"
    assert plain["movies"][0]["pulls"][0]["title"] is None
