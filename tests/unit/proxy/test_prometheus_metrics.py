from proxy.prometheus_metrics import Metrics


def value(metrics, line):
    found = [
        text.rpartition(" ")[2]
        for text in metrics.render().decode().splitlines()
        if text.rpartition(" ")[0] == line
    ]
    return float(found[0]) if found else None


def test_requests_are_counted_by_source_and_status():
    metrics = Metrics()
    metrics.count_answer("model", 200)
    metrics.count_answer("fallback", 200)
    metrics.count_answer("none", 400)
    metrics.count_answer("none", 400)
    assert value(metrics, 'movierec_proxy_requests_total{source="model",status="200"}') == 1
    assert value(metrics, 'movierec_proxy_requests_total{source="fallback",status="200"}') == 1
    assert value(metrics, 'movierec_proxy_requests_total{source="none",status="400"}') == 2


def test_every_reason_of_failure_is_there_from_the_start():
    metrics = Metrics()
    metrics.count_failure("timeout")
    assert value(metrics, 'movierec_proxy_upstream_failures_total{reason="timeout"}') == 1
    assert value(metrics, 'movierec_proxy_upstream_failures_total{reason="malformed"}') == 0


def test_every_outcome_of_a_poll_is_there_from_the_start():
    metrics = Metrics()
    metrics.count_poll("crashed")
    assert value(metrics, 'movierec_proxy_popular_polls_total{outcome="crashed"}') == 1
    assert value(metrics, 'movierec_proxy_popular_polls_total{outcome="taken"}') == 0


def test_latencies_fall_into_buckets_around_the_deadline():
    metrics = Metrics()
    metrics.observe_latency(0.401)
    assert value(metrics, 'movierec_proxy_latency_seconds_bucket{le="0.4"}') == 0
    assert value(metrics, 'movierec_proxy_latency_seconds_bucket{le="0.41"}') == 1


def test_the_fallback_ratio_is_of_the_last_thousand():
    metrics = Metrics()
    assert metrics.fallback_ratio() == 0
    for source in ("fallback", "model", "popular", "model"):
        metrics.count_answer(source, 200)
    metrics.count_answer("none", 503)
    assert metrics.fallback_ratio() == 0.25
    for _ in range(1_000):
        metrics.count_answer("model", 200)
    assert metrics.fallback_ratio() == 0


def test_two_proxies_in_one_process_count_apart():
    one, other = Metrics(), Metrics()
    one.count_answer("model", 200)
    assert value(other, 'movierec_proxy_requests_total{source="model",status="200"}') == 0
