from tools.environment import clean, translated


def test_where_packages_come_from_is_the_users_choice_where_they_go_is_not():
    found = clean(
        {
            "HTTPS_PROXY": "http://proxy:1",
            "PIP_INDEX_URL": "https://mirror/simple",
            "PIP_TARGET": "/elsewhere",
            "PYTHONPATH": "/elsewhere",
            "UV_CACHE_DIR": "/cache",
            "UV_PROJECT_ENVIRONMENT": "/elsewhere",
            "VIRTUAL_ENV": "/elsewhere",
        }
    )
    assert set(found) == {
        "HTTPS_PROXY",
        "PATH",
        "PIP_INDEX_URL",
        "PIP_USER",
        "PYTHONDONTWRITEBYTECODE",
        "UV_CACHE_DIR",
    }


def test_a_certificate_file_that_is_not_there_is_not_passed_on():
    assert "SSL_CERT_FILE" not in clean({"SSL_CERT_FILE": "/no/such/file"})


def test_uv_is_told_what_pip_was():
    listing = (
        "global.index-url='https://mirror/simple'\n"
        "install.trusted-host='mirror other'\n"
        ":env:.find-links='https://a/ https://b/'\n"
        "global.timeout='60'\n"
    )
    assert translated(listing) == {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_FIND_LINKS": "https://a/,https://b/",
        "UV_INSECURE_HOST": "mirror other",
    }


def test_a_folder_of_wheels_that_is_not_there_is_not_passed_on():
    assert translated("global.find-links='/no/such/folder'") == {}
