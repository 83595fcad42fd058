"""Routes of the API; chalicelib has their implementation."""

from chalice.app import Chalice, Response
from chalicelib import responder
from chalicelib.service import Service

app = Chalice(app_name="movierec")


@app.route("/recommend/{user_id}")
def recommend(user_id: str) -> Response:
    """Return up to 20 movie ids for a user, comma separated, best first."""
    return responder.respond(app, lambda service: service.recommend(user_id))


@app.route("/recommend")
def recommend_nobody() -> Response:
    """Answer that the user id is missing; API Gateway alone would answer a bare 403."""
    return responder.respond(app, lambda service: service.recommend(""))


@app.route("/popular")
def popular() -> Response:
    """Return up to 20 popular movie ids, without adult movies."""
    return responder.respond(app, Service.popular)


@app.route("/version")
def version() -> Response:
    """Return the versions of function, model and code, as JSON."""
    return responder.respond(app, Service.version)


@app.route("/healthz")
def healthz() -> Response:
    """Return whether a model is available."""
    return responder.respond(app, Service.health)
