from movierec.cli.releases import lines


def test_each_version_is_told_with_its_share_and_its_model():
    routing = {
        "stable": "1",
        "canary": "2",
        "canary_percent": 12.5,
        "models": {"1": "20261120T101500Z-a-b", "2": "20261121T101500Z-a-c"},
    }
    assert lines(routing) == [
        "version 1: 87.5%, 20261120T101500Z-a-b",
        "version 2: 12.5%, 20261121T101500Z-a-c (canary)",
    ]


def test_a_stable_version_alone_has_everybody():
    routing = {"stable": "3", "canary": None, "canary_percent": 0.0, "models": {"3": None}}
    assert lines(routing) == ["version 3: everybody, the newest model"]
