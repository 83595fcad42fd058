"""An artifact is its bytes: the same model, the same files; a wrong file is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.artifact import TOP_K, Model, Popular

NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


def model(n_users=3, n_movies=4):
    topk = np.full((n_users, TOP_K), 65535, np.uint16)
    topk[:, 0] = 1
    return Model(
        topk=topk,
        user_ids=np.arange(10, 10 + n_users),
        movie_ids=tuple(f"m{i}" for i in range(n_movies)),
        popular=Popular(("m0", "m1"), ("m1",), {"unknown": ("m1",)}),
        user_groups=np.zeros(13, np.uint8),
        user_factors=np.ones((n_users, 2), np.float32),
        item_factors=np.ones((n_movies, 2), np.float32),
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("0123456789abcdef0123", "20261120T101500Z-0123456789ab-fedcba987654"),
        ("0123456789abcdef0123-dirty", "20261120T101500Z-0123456789ab_dirty-fedcba987654"),
        ("", "20261120T101500Z-unknown-fedcba987654"),
    ],
)
def test_a_version_names_time_code_and_data(code, expected):
    version = artifact.model_version(NOW, code, "fedcba9876543210")
    assert version == expected
    assert artifact.trained_at(version) == NOW


def test_versions_sort_by_time_whatever_the_zone_they_were_made_in():
    east = timezone(timedelta(hours=9))
    later = (NOW + timedelta(seconds=1)).astimezone(east)
    assert artifact.model_version(NOW, "f", "f") < artifact.model_version(later, "a", "a")


@pytest.mark.parametrize("text", ["", "latest", "20261120T101500Z", "20269920T101500-a-b", "../x"])
def test_another_name_is_no_version(text):
    with pytest.raises(ArtifactError, match="no model version"):
        artifact.trained_at(text)


def test_the_same_model_gives_the_same_bytes():
    assert artifact.pack(model()) == artifact.pack(model())


@pytest.mark.parametrize(
    ("n_movies", "dtype"), [(65534, np.uint16), (65535, np.uint32), (27_000, np.uint16)]
)
def test_the_index_type_always_leaves_a_value_for_padding(n_movies, dtype):
    assert artifact.index_type(n_movies) == dtype
    assert np.iinfo(artifact.index_type(n_movies)).max > n_movies - 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"topk": np.zeros((2, TOP_K), np.uint16)}, r"topk\.npy has shape \(2, 50\)"),
        ({"topk": np.zeros((3, TOP_K), np.int64)}, "type int64"),
        ({"topk": np.full((3, TOP_K), 4, np.uint16)}, "unknown movies"),
        ({"user_ids": np.array([1, 1, 2])}, "does not ascend"),
        ({"user_factors": np.ones((3, 5), np.float32)}, r"user_factors\.npy"),
        ({"item_factors": np.ones((4, 2))}, "float64"),
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(change, complaint):
    with pytest.raises(ArtifactError, match=complaint):
        artifact.pack(replace(model(), **change))


def test_a_missing_file_is_named():
    packed = artifact.pack(model())
    del packed[artifact.POPULAR_FILE]
    with pytest.raises(ArtifactError, match=r"popular\.json"):
        artifact.unpack(packed)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (artifact.TOPK_FILE, b""),
        (artifact.TOPK_FILE, b"\x93NUMPY\x01\x00"),
        (artifact.TOPK_FILE, b"not an array"),
        (artifact.MOVIE_IDS_FILE, b"[1, 2"),
        (artifact.POPULAR_FILE, b"{}"),
        (artifact.POPULAR_FILE, b"[]"),
    ],
)
def test_a_damaged_file_is_named(name, body):
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        artifact.unpack({**artifact.pack(model()), name: body})


def test_a_truncated_array_is_refused():
    body = encoding.dump_npy(np.arange(10))
    with pytest.raises(ArtifactError, match="no array file"):
        encoding.load_npy("x.npy", body[:-1])


def test_an_array_of_objects_is_never_unpickled():
    evil = encoding.dump_npy(np.arange(3)).replace(b"'<i8'", b"'|O8'")
    with pytest.raises(ArtifactError, match="plain array"):
        encoding.load_npy("x.npy", evil)


def test_a_manifest_seals_every_file_and_tells_a_change_of_one_byte():
    packed = artifact.pack(model())
    manifest = sealed_folder.open_manifest(sealed_folder.seal(packed, {"groups": ["unknown"]}))
    assert set(manifest["files"]) == set(packed)
    assert manifest["groups"] == ["unknown"]
    for name, body in packed.items():
        sealed_folder.verify(name, body, manifest)
        with pytest.raises(ArtifactError, match="fetch it again"):
            sealed_folder.verify(name, body[:-1] + bytes([body[-1] ^ 1]), manifest)


def test_a_file_that_the_manifest_does_not_know_is_refused():
    with pytest.raises(ArtifactError, match="not in its manifest"):
        sealed_folder.verify("other.npy", b"", {"files": {}})


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"format_version": 2}', b"nonsense"])
def test_a_manifest_of_another_format_is_refused(body):
    with pytest.raises(ArtifactError, match="manifest"):
        sealed_folder.open_manifest(body)


def test_json_is_canonical_and_holds_no_nan():
    assert encoding.dump_json({"b": 1, "a": "é"}) == encoding.dump_json({"a": "é", "b": 1})
    with pytest.raises(ValueError, match="JSON"):
        encoding.dump_json(float("nan"))
