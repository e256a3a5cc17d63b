"""Take away what Windows does not have, and refuse what it refuses.

Python imports it at its start, as `sitecustomize`, in worker processes too. Files are looked at in
the folder that the environment variable LAPTOP names; what is refused there is noted in a file
beside it, since code may go on without.
"""

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import warnings
from pathlib import Path

import psutil  # noqa: F401 - its part for Linux needs what is taken away; Windows has another

for name in ("fcntl", "resource", "termios", "pwd", "grp", "pty", "tty", "syslog"):
    sys.modules[name] = None
for name in (
    "fork", "forkpty", "setsid", "setpgid", "killpg", "getpgid", "getuid", "geteuid", "getpriority",
    "sched_getaffinity", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_DIRECTORY", "fchmod", "fchown",
    "mkfifo", "sysconf", "getloadavg", "posix_fallocate",
):  # fmt: skip
    if hasattr(os, name):
        delattr(os, name)
for name in (
    "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGPIPE", "alarm", "pthread_sigmask",
    "setitimer", "getitimer", "ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF",
):  # fmt: skip
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("fork", "forkserver"):
    multiprocessing.context._concrete_contexts.pop(name, None)
multiprocessing.set_start_method("spawn")
multiprocessing.get_all_start_methods = lambda: ["spawn"]

# files that are opened without an encoding are cp1252 there
warnings.filterwarnings("error", category=EncodingWarning, module=r"cibench\b")

HERE = Path(os.environ["LAPTOP"])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "123456789"),
}
_rename, _fsync, _open = os.rename, os.fsync, os.open


def refuse(number, path, why):
    """Note what is refused, and refuse it."""
    descriptor = _open(f"{HERE}.refused", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{why}: {path}\n".encode())
    os.close(descriptor)
    raise OSError(number, why, str(path))


def hear(event, words):
    """Refuse an operation on files that Windows refuses."""
    if event == "open" and (words[2] or 0) & WRITING:
        require_name(words[0])
    elif event in ("os.mkdir", "os.symlink", "os.link", "os.rename"):
        require_name(words[0 if event == "os.mkdir" else 1])
    if event in ("os.remove", "os.rename", "os.rmdir"):
        for path in words[: 2 if event == "os.rename" else 1]:
            require_closed(path)


def inside(path):
    """Return the parts of a path below the folder; none of one elsewhere, or of an open file."""
    place = Path(os.fsdecode(path)).absolute() if not isinstance(path, int) else Path()
    return place.relative_to(HERE).parts if place.is_relative_to(HERE) else ()


def require_name(path):
    """Refuse a path that Windows does not take, or takes for another."""
    for part in inside(path):
        if set('<>:"|?*\\') & set(part) or (part != part.rstrip(". ") and part != ".."):
            refuse(errno.EINVAL, path, "no name of a file")
        if part.split(".")[0].lower() in DEVICES:
            refuse(errno.EINVAL, path, "a device's name")


def require_closed(path):
    """Refuse to move or remove what this process has open, or a folder with such a file."""
    if not inside(path):
        return
    place = Path(os.fsdecode(path)).absolute()
    for each in Path("/proc/self/fd").iterdir():
        there = Path()
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            there = each.readlink()
        if there == place or place in there.parents:
            refuse(errno.EACCES, path, "still open")


def rename(source, target, **more):
    """Refuse to rename over a file, which `replace` does."""
    if inside(target) and os.path.lexists(target):
        refuse(errno.EEXIST, target, "there already")
    _rename(source, target, **more)


def fsync(descriptor):
    """Refuse to sync what is open for reading alone."""
    number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
    facts = Path(f"/proc/self/fdinfo/{number}").read_text(encoding="ascii")
    flags = next(line.split()[1] for line in facts.splitlines() if line.startswith("flags"))
    if not int(flags, 8) & os.O_ACCMODE:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    _fsync(descriptor)


def open_file(path, flags, mode=0o777, *, dir_fd=None):
    """Refuse to open a folder."""
    if not dir_fd and Path(os.fsdecode(path)).is_dir():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return _open(path, flags, mode, dir_fd=dir_fd)


os.rename, os.fsync, os.open = rename, fsync, open_file
sys.addaudithook(hear)
