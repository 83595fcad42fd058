from lambda_process_executor.limit_monitor import Usage, parse_status

STATUS = """Name:\tpython
VmHWM:\t   30000 kB
VmRSS:\t   29000 kB
RssAnon:\t   10000 kB
RssFile:\t   18000 kB
RssShmem:\t    1000 kB
"""


def test_mapped_files_are_in_the_peak_and_not_held() -> None:
    assert parse_status(STATUS) == Usage(11000 * 1024, 30000 * 1024)


def test_a_zombie_uses_nothing() -> None:
    assert parse_status("Name:\tpython\nState:\tZ (zombie)\n") == Usage(0, 0)
