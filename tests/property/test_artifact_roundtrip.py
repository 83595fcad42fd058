"""What is packed is what is unpacked; what is damaged never passes for whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec.errors import ArtifactError
from movierec.model import artifact, encoding, sealed_folder
from movierec.model.artifact import TOP_K, Model, Popular

NAMES = st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=6)


@st.composite
def models(draw):
    movie_ids = tuple(draw(NAMES))
    user_ids = sorted(draw(st.sets(st.integers(1, 2**62), max_size=5)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    width, n = draw(st.integers(1, 4)), len(movie_ids)
    topk = np.full((len(user_ids), TOP_K), 65535, np.uint16)
    topk[:, :n] = rng.permuted(np.tile(np.arange(n), (len(user_ids), 1)), axis=1)
    groups = draw(st.dictionaries(st.text(max_size=5), NAMES.map(tuple), max_size=3))
    return Model(
        topk=topk,
        user_ids=np.array(user_ids, np.int64),
        movie_ids=movie_ids,
        popular=Popular(movie_ids, movie_ids[:1], groups),
        user_groups=rng.integers(0, 9, draw(st.integers(0, 9))).astype(np.uint8),
        user_factors=rng.random((len(user_ids), width), np.float32),
        item_factors=rng.random((n, width), np.float32),
    )


@given(models())
def test_unpack_gives_back_what_pack_took(model):
    found = artifact.unpack(artifact.pack(model))
    for name in ("topk", "user_ids", "user_groups", "user_factors", "item_factors"):
        before, after = getattr(model, name), getattr(found, name)
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)
    assert (found.movie_ids, found.popular) == (model.movie_ids, model.popular)
    assert artifact.pack(found) == artifact.pack(model)


@given(models(), st.data())
def test_a_changed_byte_never_passes_verification(model, data):
    files = artifact.pack(model)
    manifest = sealed_folder.open_manifest(sealed_folder.seal(files, {}))
    name = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[name]) - 1))
    changed = bytearray(files[name])
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ArtifactError):
        sealed_folder.verify(name, bytes(changed), manifest)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_array_or_an_artifact_error(body):
    try:
        found = encoding.load_npy("x.npy", body)
    except ArtifactError:
        return
    assert encoding.dump_npy(found)
