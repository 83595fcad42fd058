"""The routes of the API; what they answer is decided in chalicelib."""

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
    """Say what is missing, where API Gateway alone would answer a bare 403."""
    return responder.respond(app, lambda service: service.recommend(""))


@app.route("/popular")
def popular() -> Response:
    """Return up to 20 movie ids that may be shown to anybody."""
    return responder.respond(app, Service.popular)


@app.route("/version")
def version() -> Response:
    """Return what answers here, as JSON."""
    return responder.respond(app, Service.version)


@app.route("/healthz")
def healthz() -> Response:
    """Say whether there is a model to answer from."""
    return responder.respond(app, Service.health)
