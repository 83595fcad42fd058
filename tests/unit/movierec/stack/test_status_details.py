from movierec.stack.status_details import collect


def test_what_cannot_be_found_out_is_said_in_its_place():
    found = collect({})
    assert found
    assert all(str(value).startswith("unknown: ") for value in found.values())
