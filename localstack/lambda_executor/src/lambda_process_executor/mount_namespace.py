"""A mount namespace for a function: AWS's folders at AWS's paths, all else as on the machine.

Run in the subreaper's child before it becomes the function, so with few imports. A mount namespace
(mount_namespaces(7)) is for root alone; everybody else gets one within a user namespace of their
own (user_namespaces(7)), where the kernel's settings allow it.

A mount is three arguments: `ro` or `rw`, the folder, and the path where it appears; without a
folder, an empty one appears.
"""

import ctypes
import os

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_SLAVE = 524288


def enter(root: str, *parts: str) -> None:
    """Make this process see a tree in which every mount is at its path. Raises OSError.

    `root` is any empty folder; others see nothing in it.
    """
    mounts = [parts[i : i + 3] for i in range(0, len(parts), 3)]
    leave_namespaces()
    # What the machine unmounts goes here too, and nothing of this appears on the machine.
    mount("", "/", "", MS_REC | MS_SLAVE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV)
    show("/", root, [target for _, _, target in mounts])
    for mode, folder, target in mounts:
        place = root + target
        os.makedirs(place, exist_ok=True)  # noqa: PTH103 - pathlib is an import
        if folder:
            bind(folder, place, read_only=mode == "ro")
    mount("", root, "", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chroot(root)


def leave_namespaces() -> None:
    """Leave the machine's mounts, and unless this is root its users, for some of our own."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        os.unshare(os.CLONE_NEWNS)
        return
    os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNS)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{user} {user} 1")
    write("/proc/self/gid_map", f"{group} {group} 1")


def show(folder: str, root: str, hidden: list[str]) -> None:
    """Make what is in a folder appear below root, but for the paths that are hidden."""
    with os.scandir(folder) as entries:
        for entry in entries:
            here = root + entry.path
            if entry.path in hidden:
                continue
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), here)  # noqa: PTH115, PTH211
            elif any(path.startswith(entry.path + "/") for path in hidden):
                os.mkdir(here)  # noqa: PTH102
                show(entry.path, root, hidden)
            elif entry.is_dir():
                os.mkdir(here)  # noqa: PTH102
                bind(entry.path, here, read_only=False)


def bind(folder: str, place: str, *, read_only: bool) -> None:
    """Make a folder appear at a place, with what is mounted in it."""
    mount(folder, place, "", MS_BIND | MS_REC)
    if read_only:
        # An ordinary user may not drop these; statvfs(3) numbers them as mount(2) does.
        kept = os.statvfs(place).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount("", place, "", MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Mount one thing, as the system call does. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = [text.encode() or None for text in (source, target, kind)]
    if libc.mount(*names, ctypes.c_ulong(flags), None):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def write(path: str, text: str) -> None:
    """Write to a file of the kernel's."""
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)
