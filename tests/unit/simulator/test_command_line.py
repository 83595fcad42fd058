import pytest

from movierec.errors import UsageError
from simulator import command_line


def parse(*argv, **env):
    return command_line.parse(argv, env)


def test_by_default_the_site_answers_and_lives_on_the_well_known_ports():
    found = parse()
    assert found.site.port == 8080
    assert found.live.proxy == "http://127.0.0.1:8082"
    assert (found.live.rate, found.live.poisson) == (5.0, True)
    assert found.backfill_days is None
    assert (found.world.users, found.world.movies) == (20_000, 27_278)
    assert (found.topic, found.server.name) == ("movielog1", "127.0.0.1:8082")


def test_a_backfill_is_all_that_is_done_unless_the_site_is_to_live_after_it():
    found = parse("--backfill", "14")
    assert (found.backfill_days, found.events) == (14, 1_000_000)
    assert found.live is None
    assert found.site is None
    found = parse("--backfill", "14", "--live")
    assert found.live is not None
    assert found.site is not None


def test_the_apis_alone_and_the_users_alone():
    assert parse("--site-only").live is None
    assert parse("--site-only").site is not None
    assert parse("--no-site").site is None


def test_the_environment_names_proxy_and_topic_and_the_command_line_overrides_it():
    env = {"MOVIEREC_PROXY_URL": "http://localhost:9000/", "MOVIEREC_TOPIC": "movielog7"}
    found = parse(**env)
    assert (found.live.proxy, found.topic) == ("http://localhost:9000", "movielog7")
    assert (found.server.name, found.server.ip) == ("localhost:9000", "127.0.0.1")
    found = parse("--proxy", "http://h:1", "--topic", "t", **env)
    assert (found.live.proxy, found.topic) == ("http://h:1", "t")


def test_damage_can_be_set_and_switched_off():
    assert parse("--inserted", "0.5").rates.inserted == 0.5
    rates = parse("--no-damage").rates
    assert rates.inserted + rates.replaced_id + rates.bad_rating + rates.duplicate == 0


@pytest.mark.parametrize(
    "argv",
    [
        ["--rate", "x"],
        ["--rate", "nan"],
        ["--users", "0"],
        ["--users", "1000001"],
        ["--no-such-thing"],
        ["--proxy", "localhost"],
        ["--proxy", "http://h:99999"],
        ["--live"],
        ["--continue-ledger"],
        ["--site-only", "--backfill", "3"],
        ["--movielens", "folder", "--users", "5"],
        ["--inserted", "0.6", "--duplicate", "0.6"],
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_one_line(argv):
    with pytest.raises(UsageError) as caught:
        parse(*argv)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("prog", "name"), [((), "python -m simulator"), (("--prog=some command",), "some command")]
)
def test_messages_and_help_name_the_command_that_was_typed(prog, name, capsys):
    with pytest.raises(UsageError, match=f"see `{name} --help`"):
        parse(*prog, "--no-such-thing")
    with pytest.raises(SystemExit):
        parse(*prog, "--help")
    assert capsys.readouterr().out.startswith(f"usage: {name} ")
