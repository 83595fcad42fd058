import pytest

from movierec.errors import ConfigError, UsageError
from movierec.model.rating_scale import RatingScale
from simulator import command_line
from simulator.settings import GrowthSpec, SiteSpec
from simulator.site_faults import SiteFaults, UnknownInBulk


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
        ["--rating-scale", "5-1"],
        ["--rating-scale", "ten"],
        ["--rating-scale", "1-10", "--max-rating", "10"],
        ["--new-accounts", "2"],
        ["--bulk-unknown", "500"],
        ["--rate-limit", "0"],
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


def test_every_option_says_in_the_help_what_it_is_and_in_which_unit():
    for group in command_line._build_parser("x")._action_groups:
        for action in group._group_actions:
            assert action.help, action.option_strings
            if action.metavar in {"SECONDS", "MINUTES"}:
                assert action.metavar.lower() in action.help, action.option_strings


def test_the_rating_scale_is_the_setting_of_all_parts_and_an_option_overrides_it():
    env = {"MOVIEREC_MIN_RATING": "0", "MOVIEREC_MAX_RATING": "10"}
    assert parse().scale == RatingScale(1, 5)
    assert parse(**env).scale == parse(**env).live.scale == RatingScale(0, 10)
    assert parse("--rating-scale", "1-10", **env).scale == RatingScale(1, 10)
    assert parse("--max-rating", "7", **env).scale == RatingScale(1, 7)
    with pytest.raises(ConfigError, match="MOVIEREC_MIN_RATING is 6"):
        parse(MOVIEREC_MIN_RATING="6")


def test_the_largest_user_id_is_the_setting_of_all_parts_too():
    assert parse().max_user_id == 1_000_000
    assert parse(MOVIEREC_MAX_USER_ID="70000").max_user_id == 70_000
    assert parse("--max-user-id", "9", MOVIEREC_MAX_USER_ID="70000").max_user_id == 9


def test_by_default_clock_growth_and_apis_are_what_they_were():
    found = parse()
    assert found.clock.is_utc
    assert found.growth == GrowthSpec()
    assert found.site == SiteSpec("127.0.0.1", 8080, tagline=True)
    assert found.live.new_accounts == 0


def test_the_faults_of_the_apis_are_set_one_by_one():
    found = parse(
        "--bulk-unknown=404", "--rate-limit=20", "--rate-window=2", "--no-retry-after",
        "--slow-share=.1", "--slow-seconds=3", "--error-share=.2", "--incomplete-share=.3",
    ).site.faults  # fmt: skip
    assert found == SiteFaults(UnknownInBulk.NOT_FOUND, 20, 2.0, False, 0.1, 3.0, 0.2, 0.3)


def test_a_wrong_clock_is_given_in_minutes_and_seconds_a_day():
    clock = parse("--clock-offset=-240").clock
    assert (clock.zone, clock.ahead_s, clock.drift_s) == ("UTC", -14_400, 0)
    assert not clock.is_utc
    drifting = parse("--clock-drift=-30", "--backfill=2").clock
    assert drifting.local_ns(drifting.since_s * 10**9) == drifting.since_s * 10**9
    later_s = drifting.since_s + 2 * 86_400
    assert drifting.local_ns(later_s * 10**9) == (later_s - 60) * 10**9
