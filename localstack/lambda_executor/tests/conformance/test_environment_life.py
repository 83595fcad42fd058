"""An execution environment from its cold start to its end."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.conftest import Answer, Emulator

COUNT = "n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return n\n"
FIRST_ONLY = (
    "import pathlib, tempfile\nmark = pathlib.Path(tempfile.gettempdir(), 'mark')\n"
    "first = not mark.exists()\nmark.touch()\n"
)
# AWS: "Defined runtime environment variables", without those of other languages.
DEFINED = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "LANG", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH",
    "AWS_XRAY_CONTEXT_MISSING", "AWS_XRAY_DAEMON_ADDRESS", "TZ",
}  # fmt: skip
# What a function has here beside them: LocalStack's address, and where its folders are.
HERE_ONLY = {"AWS_ENDPOINT_URL", "LOCALSTACK_HOSTNAME", "EDGE_PORT", "HOME"}


@pytest.fixture(scope="module", autouse=True)
def never_ready(emulator: "Emulator") -> "Iterator[Future[Answer]]":
    """Begin the one case that takes 10 s by AWS's own rule, while the others run."""
    code = f"import time\n{FIRST_ONLY}if first: time.sleep(60)\n{COUNT}"
    emulator.create("init-slow", code)
    emulator.create("provisioned", f"import time\ntime.sleep(12)\n{COUNT}", Timeout=3)
    emulator.client("lambda").put_provisioned_concurrency_config(
        FunctionName="provisioned",
        Qualifier=emulator.publish("provisioned"),
        ProvisionedConcurrentExecutions=1,
    )
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(emulator.invoke, "init-slow")


def test_a_warm_environment_keeps_its_memory(emulator: "Emulator") -> None:
    """Objects outside of the handler stay initialised from one invocation to the next.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    emulator.create("warm", COUNT)
    assert [emulator.invoke("warm").payload for _ in range(3)] == [1, 2, 3]


def test_an_error_of_the_handler_keeps_the_environment(emulator: "Emulator") -> None:
    """A handler that raises answers with the error, and its environment serves the next call.

    https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    """
    code = COUNT.replace("return n", "if event: raise ValueError('boo')\n    return n")
    emulator.create("raises", code)
    raised = emulator.invoke("raises", 1)
    assert raised.error == "Unhandled"
    assert (raised.payload["errorType"], raised.payload["errorMessage"]) == ("ValueError", "boo")
    assert raised.payload["stackTrace"]
    assert "[ERROR] ValueError: boo" in raised.log
    assert emulator.invoke("raises", 0).payload == 2


def test_an_invocation_keeps_its_code_and_layers_when_others_are_deployed(
    emulator: "Emulator",
) -> None:
    """What runs goes on with what it was started with; calls after the update get the new code.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    code = (
        "import boto3, time\n"
        "def handler(bucket, c):\n"
        "    s3 = boto3.client('s3')\n"
        "    s3.put_object(Bucket=bucket, Key='begun')\n"
        "    while 'Contents' not in s3.list_objects_v2(Bucket=bucket, Prefix='go'):\n"
        "        time.sleep(0.02)\n"
        "    import late, one, two\n"
        "    return [late.word, one.word, two.word]\n"
    )
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="redeployed")
    layers = [
        emulator.publish_layer(f"old-{name}", {f"python/{name}.py": f"word = '{name}'\n"})
        for name in ("one", "two")
    ]
    files = {"app.py": code, "late.py": "word = 'late'\n"}
    emulator.create("redeployed", files, Layers=layers, Timeout=60)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(emulator.invoke, "redeployed", "redeployed")
        emulator.wait(
            lambda: "Contents" in s3.list_objects_v2(Bucket="redeployed", Prefix="begun"),
            "its begin",
        )
        emulator.configure("redeployed", Layers=[])
        emulator.deploy("redeployed", "def handler(e, c):\n    return 'new'\n")
        assert emulator.invoke("redeployed").payload == "new"
        s3.put_object(Bucket="redeployed", Key="go")
        assert running.result().payload == ["late", "one", "two"]


def test_concurrent_calls_have_environments_of_their_own(emulator: "Emulator") -> None:
    """An environment has one invocation at a time; calls at once get one each, with its own /tmp.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    """
    code = (
        "import os, pathlib, tempfile, time\ndef handler(e, c):\n"
        "    folder = pathlib.Path(tempfile.gettempdir())\n"
        "    found = [path.name for path in folder.iterdir()]\n"
        "    (folder / str(os.getpid())).touch()\n    time.sleep(0.5)\n"
        "    return [os.getpid(), found]\n"
    )
    emulator.create("parallel", code)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: emulator.invoke("parallel").payload, range(4)))
    assert len({pid for pid, _ in answers}) == 4
    assert [found for _, found in answers] == [[]] * 4
    pid, found = emulator.invoke("parallel").payload
    assert found == [str(pid)]


def test_the_code_s_folder_is_the_working_directory(emulator: "Emulator") -> None:
    """LAMBDA_TASK_ROOT is the path to the function's code, where it also starts.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    files = {
        "pkg/code.py": "import os\nfrom pkg import other\ndef handler(e, c):\n"
        "    return [os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], open('data.txt').read()]\n",
        "pkg/other.py": "",
        "data.txt": "found",
    }
    emulator.create("rooted", files, Handler="pkg/code.handler")
    folder, root, read = emulator.invoke("rooted").payload
    assert (folder, read) == (root, "found")


@pytest.mark.usefixtures("needs_aws_paths")
def test_aws_folders_are_at_their_paths_and_the_code_cannot_be_changed(
    emulator: "Emulator",
) -> None:
    """Code is in /var/task, layers in /opt, the runtime in /var/runtime; only /tmp can be written.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    """
    code = (
        "import os, pathlib, sys\ndef write(folder):\n"
        "    try: pathlib.Path(folder, 'new').write_text('')\n"
        "    except OSError as exc: return exc.strerror\n"
        "def handler(e, c):\n    return [__file__, os.getcwd(), open('/opt/data').read(),\n"
        "        sys.executable, os.environ['LAMBDA_RUNTIME_DIR'], os.listdir('/tmp'),\n"
        "        [write(f) for f in ('/', '/var/task', '/opt', '/tmp')]]\n"
    )
    layer = emulator.publish_layer("placed", {"data": "layered"})
    emulator.create("placed", code, Layers=[layer])
    file, folder, data, python, runtime, scratch, written = emulator.invoke("placed").payload
    assert (file, folder, data) == ("/var/task/app.py", "/var/task", "layered")
    assert python.startswith("/var/lang/bin/python3")
    assert (runtime, scratch) == ("/var/runtime", [])
    assert written == ["Read-only file system"] * 3 + [None]


def test_a_reset_leaves_the_temporary_folder_as_it_is(emulator: "Emulator") -> None:
    """Lambda's reset after a failure does not clear /tmp before the next init.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    code = (
        "import os, pathlib, tempfile\nmark = pathlib.Path(tempfile.gettempdir(), 'mark')\n"
        "def handler(e, c):\n    if e: mark.touch(); os._exit(1)\n    return mark.exists()\n"
    )
    emulator.create("keeps", code)
    assert emulator.invoke("keeps", 0).payload is False
    assert emulator.invoke("keeps", 1).payload["errorType"] == "Runtime.ExitError"
    assert emulator.invoke("keeps", 0).payload is True


def test_a_wrapper_script_starts_the_runtime(emulator: "Emulator", aws_paths: bool) -> None:  # noqa: FBT001
    """AWS_LAMBDA_EXEC_WRAPPER gets the runtime's command, and puts options before its last part.

    https://docs.aws.amazon.com/lambda/latest/dg/runtimes-modify.html
    """
    if not aws_paths:
        pytest.skip("no mount namespaces here: a wrapper's path is not AWS's")
    wrapper = (
        '#!/bin/bash\nargs=("$@")\nexport WRAPPED=$#\n'
        'args=("${args[@]:0:$#-1}" -X "dev" "${args[@]: -1}")\nexec "${args[@]}"\n'
    )
    code = (
        "import os, sys\ndef handler(e, c):\n"
        "    return [sys.flags.dev_mode, os.environ['WRAPPED'], __name__]\n"
    )
    variables = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}}
    layer = emulator.publish_layer("wrapper", {"wrapper": wrapper})
    emulator.create("wrapped", code, Layers=[layer], Environment=variables)
    assert emulator.invoke("wrapped").payload == [True, "2", "app"]


def test_the_environment_is_what_aws_defines_and_nothing_else(
    emulator: "Emulator",
    aws_paths: bool,  # noqa: FBT001
) -> None:
    """A function sees the defined variables and its own; nothing leaks from who started it.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    emulator.create(
        "environment",
        "import os\ndef handler(e, c):\n    return dict(os.environ)\n",
        Environment={"Variables": {"MINE": "1", "LANG": "C.UTF-8"}},
    )
    env = emulator.invoke("environment").payload
    assert set(env) == DEFINED | HERE_ONLY | {"MINE"} | (set() if aws_paths else {"TMPDIR"})
    assert (env["MINE"], env["LANG"]) == ("1", "C.UTF-8")
    assert env["_HANDLER"] == "app.handler"
    assert env["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert env["AWS_LAMBDA_FUNCTION_NAME"] == "environment"
    assert env["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/environment"
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert env["TZ"] == ":UTC"
    task = env["LAMBDA_TASK_ROOT"]
    assert {task, f"{task}/lib"} <= set(env["LD_LIBRARY_PATH"].split(":"))
    assert env["LAMBDA_RUNTIME_DIR"] in env["PYTHONPATH"].split(":")


def test_layers_are_on_the_paths_and_a_later_one_wins(emulator: "Emulator") -> None:
    """Layers are laid over one another in order; python/, bin/ and lib/ of them are on the paths.

    https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html
    """
    site = "python/lib/python3.13/site-packages"
    one = {"python/shared.py": "name = 'one'\n", f"{site}/deep.py": "", "bin/tool": "", "lib/l": ""}
    arns = [
        emulator.publish_layer("one", one),
        emulator.publish_layer("two", {"python/shared.py": "name = 'two'\n"}),
    ]
    code = (
        "import deep, os, pathlib, shared\ndef paths(name, file):\n"
        "    return any((pathlib.Path(p) / file).exists() for p in os.environ[name].split(':'))\n"
        "def handler(e, c):\n"
        "    return [shared.name, paths('PATH', 'tool'), paths('LD_LIBRARY_PATH', 'l')]\n"
    )
    emulator.create("layered-once", code, Layers=arns[:1])
    emulator.create("layered-twice", code, Layers=arns)
    assert emulator.invoke("layered-once").payload == ["one", True, True]
    assert emulator.invoke("layered-twice").payload == ["two", True, True]


def test_the_code_s_modules_come_before_a_layers(emulator: "Emulator") -> None:
    """The function's own package is first on the search path.

    https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
    """
    layer = emulator.publish_layer("shadowed", {"python/shadowed.py": "whose = 'layer'\n"})
    files = {
        "app.py": "import shadowed\ndef handler(e, c):\n    return shadowed.whose\n",
        "shadowed.py": "whose = 'code'\n",
    }
    emulator.create("shadowing", files, Layers=[layer])
    assert emulator.invoke("shadowing").payload == "code"


def test_an_init_that_failed_is_repeated_within_the_invocation(emulator: "Emulator") -> None:
    """After a failed Init phase Lambda runs the init again at the first invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    emulator.create("healing", f"{FIRST_ONLY}if first: 1 / 0\n{COUNT}")
    answer = emulator.invoke("healing")
    assert (answer.error, answer.payload) == (None, 1)
    assert "Phase: init\tStatus: error\tError Type: ZeroDivisionError" in answer.log


def test_an_init_that_fails_twice_is_the_answer(emulator: "Emulator") -> None:
    """An init that fails again within the invocation is the invocation's error.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    emulator.create("broken", "1 / 0\n")
    answer = emulator.invoke("broken")
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "ZeroDivisionError")
    assert ["Phase: init" in answer.log, "Phase: invoke" in answer.log] == [True, True]
    assert emulator.invoke("broken").payload["errorType"] == "ZeroDivisionError"


def test_a_change_is_served_by_new_environments(emulator: "Emulator") -> None:
    """After an update of code or settings the old environments serve no more.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    code = "import os\ndef handler(e, c):\n    return [os.getpid(), os.environ.get('SET'), 1]\n"
    emulator.create("changed", code)
    first, *before = emulator.invoke("changed").payload
    emulator.configure("changed", Environment={"Variables": {"SET": "1"}})
    second, *set_now = emulator.invoke("changed").payload
    emulator.deploy("changed", code.replace("1]", "2]"))
    third, *coded_now = emulator.invoke("changed").payload
    assert (before, set_now, coded_now) == ([None, 1], ["1", 1], ["1", 2])
    assert len({first, second, third}) == 3


def test_a_version_keeps_its_code_and_settings(emulator: "Emulator") -> None:
    """A published version is a snapshot that no later change reaches.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html
    """
    code = "import os\ndef handler(e, c):\n    return os.environ['WHICH']\n"
    emulator.create("versioned", code, Environment={"Variables": {"WHICH": "one"}})
    version = emulator.publish("versioned")
    emulator.configure("versioned", Environment={"Variables": {"WHICH": "two"}})
    assert emulator.invoke("versioned", Qualifier=version).payload == "one"
    assert emulator.invoke("versioned").payload == "two"


def test_a_deleted_functions_environment_ends(emulator: "Emulator") -> None:
    """What is in /tmp lasts as long as the execution environment, and goes with it.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-ephemeral-work_folder.html
    """
    code = "import os\ndef handler(e, c):\n    return [os.getpid(), c.log_stream_name]\n"
    emulator.create("deleted", code)
    pid, stream = emulator.invoke("deleted").payload
    folder = emulator.environments() / stream.partition("]")[2]
    assert folder.is_dir()
    emulator.client("lambda").delete_function(FunctionName="deleted")
    emulator.wait(lambda: not Path(f"/proc/{pid}").exists(), "the process has ended")
    emulator.wait(lambda: not folder.exists(), "the folder has gone")


def test_an_idle_environment_ends(
    start_emulator: "Callable[..., AbstractContextManager[Emulator]]",
) -> None:
    """An environment is kept for a while in anticipation of another call, and then shut down.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    code = "import os\ndef handler(e, c):\n    return os.getpid()\n"
    with start_emulator(LAMBDA_KEEPALIVE_MS="1500") as emulator:
        emulator.create("idle", code)
        first, second = (emulator.invoke("idle").payload for _ in range(2))
        assert first == second
        emulator.wait(lambda: not Path(f"/proc/{first}").exists(), "the process has ended")
        emulator.wait(lambda: not list(emulator.environments().iterdir()), "the folder has gone")
        assert emulator.invoke("idle").payload != first


def test_the_init_of_provisioned_concurrency_may_take_longer(emulator: "Emulator") -> None:
    """The ten seconds of the Init phase do not apply to provisioned concurrency.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    client, named = emulator.client("lambda"), {"FunctionName": "provisioned", "Qualifier": "1"}

    def status() -> str:
        return str(client.get_provisioned_concurrency_config(**named)["Status"])

    emulator.wait(lambda: status() != "IN_PROGRESS", "the environment is provisioned")
    assert status() == "READY"
    answer = emulator.invoke("provisioned", Qualifier="1")
    assert (answer.error, answer.payload) == (None, 1)
    assert answer.took_ms < 5_000


# The last of this module: it has had its ten seconds meanwhile.
def test_an_init_of_ten_seconds_is_cut_and_repeated(never_ready: "Future[Answer]") -> None:
    """The Init phase is limited to 10 s; the init then runs once more, within the invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    answer = never_ready.result(30)
    assert (answer.error, answer.payload) == (None, 1)
    assert "Phase: init\tStatus: timeout" in answer.log
    [line] = [line for line in answer.log.splitlines() if line.startswith("INIT_REPORT")]
    took_ms = float(line.partition("Init Duration: ")[2].partition(" ms")[0])
    assert 10_000 <= took_ms < 11_500
