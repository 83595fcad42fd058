from movierec.cli.lifecycle import fault, interrupted


def condition(**parts):
    said = {n: {"running": r, "up": u, "external": False} for n, (r, u) in parts.items()}
    return {"run": "mine", "parts": said}


def test_what_is_down_is_named_with_what_starts_it():
    said = fault(condition(kafka=(False, False), ingest=(False, False), proxy=(True, True)))
    assert said == "run mine: kafka down, ingest down: `movierec up`"


def test_what_hangs_has_to_be_stopped_first():
    said = fault(condition(proxy=(True, False)))
    assert "proxy silent: `movierec down`, then `movierec up`" in said


def test_an_external_cluster_that_does_not_answer_is_named_before_what_starts_the_rest():
    found = condition(ingest=(False, False))
    found["endpoints"] = {"kafka": "kafka.example:9092"}
    found["parts"]["kafka"] = {
        "running": False,
        "up": False,
        "external": True,
        "endpoint": "kafka",
    }
    assert fault(found) == (
        "run mine: ingest down, kafka unreachable: start kafka.example:9092, which is not the "
        "run's own, or name another in MOVIEREC_KAFKA_BOOTSTRAP, then `movierec up`"
    )


def test_a_release_that_nobody_drives_any_more_is_named():
    facts = {"releases_under_way": ["r1", "r2"]}
    assert interrupted(facts, {"r1"}.__contains__) == ["r2"]


def test_of_releases_that_cannot_be_found_out_none_is_named():
    assert interrupted({"releases_under_way": "unknown: no answer"}, lambda _: False) == []
