from pathlib import Path

from movierec.stack.processes import child_environment

# As found on real machines.
HOSTILE = {
    "AWS_CA_BUNDLE": "/certs.pem",
    "AWS_PROFILE": "production",
    "HOME": "/home/me",
    "HTTPS_PROXY": "http://proxy:3128",
    "JAVA_TOOL_OPTIONS": "-javaagent:x",
    "KAFKA_OPTS": "-Dx",
    "PATH": "/bin",
    "PIP_INDEX_URL": "https://mirror/simple",
    "PYTHONPATH": "/elsewhere",
    "REQUESTS_CA_BUNDLE": "/certs.pem",
    "TF_CLI_CONFIG_FILE": "/missing",
    "VIRTUAL_ENV": "/elsewhere",
    "http_proxy": "http://proxy:3128",
}


def test_a_child_sees_nothing_of_the_users_accounts_proxies_and_tool_settings():
    assert set(child_environment.basic(HOSTILE)) == {"HOME", "LANG", "PATH", "PYTHONUNBUFFERED"}


def test_the_projects_programs_come_first_on_the_path():
    found = child_environment.basic(
        HOSTILE, path=(Path("/repo/.venv/bin"), Path("/repo/.tools/bin"))
    )
    assert found["PATH"] == "/repo/.venv/bin:/repo/.tools/bin:/bin"


def test_without_a_path_there_is_one():
    assert child_environment.basic({})["PATH"] == "/usr/local/bin:/usr/bin:/bin"


def test_the_users_language_is_kept():
    assert child_environment.basic({"LANG": "de_DE.UTF-8"})["LANG"] == "de_DE.UTF-8"


def test_emulated_aws_can_reach_nothing_but_the_emulator():
    found = child_environment.emulated_aws("http://127.0.0.1:4566")
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert found["AWS_CONFIG_FILE"] == found["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert found["AWS_EC2_METADATA_DISABLED"] == "true"
    assert "AWS_PROFILE" not in found


def test_a_child_that_needs_the_internet_gets_proxies_certificates_and_registries():
    assert set(child_environment.internet(HOSTILE)) == {
        "HTTPS_PROXY",
        "PIP_INDEX_URL",
        "REQUESTS_CA_BUNDLE",
        "http_proxy",
    }
