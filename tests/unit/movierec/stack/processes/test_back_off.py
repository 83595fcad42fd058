from movierec.stack.processes.spec import BackOff

BACK_OFF = BackOff(first_s=10, longest_s=25, forgiven_after_s=100)


def test_what_goes_on_dying_is_started_ever_later_and_at_last_as_rarely_as_may_be():
    waited, deaths = [], 0
    for _ in range(5):
        deaths = BACK_OFF.deaths(deaths, lived_s=1)
        waited.append(BACK_OFF.delay_s(deaths))
    assert waited == [0, 10, 20, 25, 25]


def test_a_part_that_has_lived_for_a_while_is_forgiven():
    assert BACK_OFF.deaths(7, lived_s=100) == 1
    assert BACK_OFF.delay_s(1) == 0
