"""Item k-nearest neighbours by cosine (Sarwar et al. 2001): the baseline of item-to-item models."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from functions.train_als import edlae
from functions.train_als.edlae import ItemToItemModel, ItemWeights
from movierec.model.dataset import Dataset

NEIGHBOURS: Final = 100


def fit(dataset: Dataset, keep: npt.NDArray[np.bool_]) -> ItemToItemModel:
    """Return the model of the kept positive interactions, (n,); memory as of `edlae`."""
    parameters = edlae.Parameters()
    x = edlae.interactions(dataset, keep, parameters)
    return ItemToItemModel.of(weights(x, parameters.movies), x)


def weights(x: csr_matrix, most_movies: int, neighbours: int = NEIGHBOURS) -> ItemWeights:
    """Return each movie's cosines with its nearest ones, 0 with the others."""
    movies = edlae.most_watched(x, most_movies)
    # In C's order: scipy would copy the whole matrix for each list otherwise.
    cosine = edlae.gram_of(x[:, movies]).astype(np.float32, order="C")
    norms = np.sqrt(np.maximum(np.diag(cosine), 1))
    cosine /= norms
    cosine /= norms[:, None]
    np.fill_diagonal(cosine, 0)
    if neighbours < len(movies):
        least = -np.partition(-cosine, neighbours - 1, axis=0)[neighbours - 1]
        cosine[cosine < least] = 0
    return ItemWeights(movies, cosine, x.shape[1])
