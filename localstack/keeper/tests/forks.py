"""LocalStack with its imports done: each line on the standard input forks one, whole and fresh.

A start takes a fifth of a second then, and not two. The line is the path of the log to write; the
answer is the process id, which is the id of its group, too. Exit codes go to <log>.exit, since a
process that is killed leaves none.
"""

import ctypes
import functools
import os
import signal
import sys
import threading
from pathlib import Path

import boto3
import localstack.aws.app
import localstack.aws.components
import localstack.aws.protocol.parser
import localstack.aws.protocol.serializer
import localstack.runtime.components
import localstack.runtime.main
import localstack.runtime.server.twisted
import localstack.services.providers
import localstack.services.s3.provider
from botocore.loaders import JSONFileLoader
from localstack.aws.protocol.parser import create_parser
from localstack.aws.protocol.serializer import create_serializer
from localstack.aws.spec import get_service_catalog

import localstack_keeper.hooks
import localstack_keeper.persistence
import localstack_keeper.s3_provider  # noqa: F401 - as all of these

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork for each line until there are no more."""
    # Each session would read AWS's descriptions of its services anew.
    read_once = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read_once(path)
    session = boto3.session.Session(region_name="us-east-1")
    session.client("s3", aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106
    session.get_available_regions("s3")
    service = get_service_catalog().get("s3")
    create_parser(service)
    create_serializer(service)
    assert threading.active_count() == 1, "what has threads must not be forked"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them here
    for line in sys.stdin:
        its_own, done = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.close(done)
            _run(Path(line.strip()))
        os.close(done)
        os.read(its_own, 1)  # nothing, once the group is there
        os.close(its_own)
        print(pid, flush=True)  # noqa: T201 - the answer


def _run(log: Path) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever wanted it has gone
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(fd, target)
    code = 1
    try:
        localstack.runtime.main.main()
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    finally:
        sys.stdout.flush()
        Path(f"{log}.exit").write_text(str(code))
        os._exit(code)


if __name__ == "__main__":
    main()
