"""Subreaper of one function: starts it, reaps its processes, and kills them with the emulator.

A process of its own, isolated and with few imports, because its start is part of every cold start
(pathlib alone would be a third of it). Its arguments:

    <niceness> <folder> [<root> <mount> ...] -- [NAME=value ...] -- <program> [argument ...]

`root` and mounts are what `mount_namespace` takes; without them the program sees the machine's own
tree. Standard input is a control socket. The subreaper writes `pid <n>` once the function runs and
`exit <n>` when it has ended (negative: the signal). It kills every process below it when the
function's process ends, or when the other side of the socket closes, which the kernel sees to
however the emulator ends. Processes that daemonise themselves stay below it, because it is their
subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

import ctypes
import os
import resource
import select
import signal
import time

from lambda_process_executor import mount_namespace

CONTROL = 0
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN = 127

# AWS: "Lambda quotas", file descriptors, and execution processes/threads.
DESCRIPTORS = 1024
PROCESSES = 1024
# sched(7): a session has a niceness of its own, and an ordinary user may set one every 0.1 s.
GROUP = "/proc/self/autogroup"
GROUP_PAUSE_S = 0.1
GROUP_TRIES = 5
# A second way to the output, for a runtime that frames its log records; the number is AWS's.
TELEMETRY = 62


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process (prctl(2))."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def exec_function(
    folder: str, tree: list[str], variables: list[str], command: list[str], parent: int
) -> None:
    """Turn this fresh child into the function's process; never returns."""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(CANNOT_RUN)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, CONTROL)
        os.dup2(1, TELEMETRY)
        if tree:
            mount_namespace.enter(*tree)
            # Processes are counted by user and user namespace: without one of our own, everything
            # else that the user runs would count.
            if os.geteuid():
                limit(resource.RLIMIT_NPROC, PROCESSES)
        limit(resource.RLIMIT_NOFILE, DESCRIPTORS)
        os.chdir(folder)
        env = dict(os.environ) | dict(item.split("=", 1) for item in variables)
        os.execve(command[0], command, env)  # noqa: S606
    except OSError as exc:
        os.write(2, f"cannot run {command[0]} in {folder}: {exc}\n".encode())
    os._exit(CANNOT_RUN)


def limit(kind: int, most: int) -> None:
    """Lower a limit of this process and its children (setrlimit(2))."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def lower_priority(niceness: int) -> None:
    """Lower the priority of this process and of all below it (nice(2)).

    The session too, where the kernel divides time among sessions: there a process's own niceness
    counts within its session alone, and this one has the function and nobody else.
    """
    os.nice(niceness)
    for _ in range(GROUP_TRIES):
        try:
            mount_namespace.write(GROUP, str(niceness))
        except BlockingIOError:  # somebody has set one just now
            time.sleep(GROUP_PAUSE_S)
        except OSError:  # the kernel has no such groups
            return
        else:
            return


def reap() -> dict[int, int]:
    """Collect every child that has ended: exit code by process id."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def wait_for_end(function: int, woken: int) -> int | None:
    """Wait until the function's process ends, or the emulator closes the socket.

    Returns its exit code, or None when the control socket closed first.
    """
    while True:
        ready, _, _ = select.select([CONTROL, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            ended = reap()
            if function in ended:
                return ended[function]
        if CONTROL in ready and not read_control():
            return None


def read_control() -> bytes:
    """Read what the emulator sent; nothing means that it is gone."""
    try:
        return os.read(CONTROL, 4096)
    except ConnectionError:
        return b""


def kill_all() -> None:
    """Kill every process below this one.

    Killing a process hands its children to us, so the loop ends only when there are none.
    """
    me = os.getpid()
    while True:
        with open(f"/proc/{me}/task/{me}/children") as children:  # noqa: PTH123 - see above
            pids = children.read().split()
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def report(message: str) -> None:
    """Write one line to the control socket, if anybody is left to read it."""
    try:
        os.write(CONTROL, f"{message}\n".encode())
    except (BrokenPipeError, ConnectionError):
        return


def main(arguments: list[str]) -> None:
    """Start the function's process and stay until it is over."""
    niceness, folder, *rest = arguments
    if int(niceness):
        lower_priority(int(niceness))
    split = rest.index("--")
    tree, rest = rest[:split], rest[split + 1 :]
    split = rest.index("--")
    me = os.getpid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    function = os.fork()
    if function == 0:
        exec_function(folder, tree, rest[:split], rest[split + 1 :], me)
    report(f"pid {function}")
    code = wait_for_end(function, woken)
    kill_all()
    report(f"exit {-signal.SIGKILL if code is None else code}")
