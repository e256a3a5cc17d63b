"""What a process has set beside its functions: what fits share, can be read and be put back."""

from __future__ import annotations

import decimal
import gc
import importlib
import locale
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

try:
    import resource
except ImportError:  # as on Windows
    _LIMITS: list[int] = []
else:
    _LIMITS = [resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_DATA,
               resource.RLIMIT_NOFILE]  # fmt: skip

ABSENT = object()
"""Stands for what a library has not set, since nobody has imported it."""


def _same(value: Any) -> Any:
    return value


class Setting(NamedTuple):
    """Name a part of a process's state, and say how it is read and put back.

    `keep` makes of what was read what stays as it was. What `is_cheap` takes less than a
    microsecond to read.
    """

    name: str
    read: Callable[[], Any]
    put: Callable[[Any], object]
    keep: Callable[[Any], Any] = _same
    is_cheap: bool = False


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path costs more than the question
    except OSError:  # it was removed
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


_environ: Any = os.environ
_ZONE = os.environ.encodekey("TZ")  # as the bytes beneath have it


def _variables() -> tuple[bool, dict[Any, Any]]:
    # the bytes beneath: comparing through the mapping decodes every variable, 35 us a fit
    return os.environ is _environ, _environ._data.copy()


def _put_variables(before: tuple[bool, dict[Any, Any]]) -> None:
    os.environ = _environ  # noqa: B003 - a fit may have put another object there
    zone = _environ._data.get(_ZONE)
    for name in _environ._data.keys() - before[1].keys():
        del _environ[os.fsdecode(name)]
    for name, value in before[1].items():
        if _environ._data.get(name) != value:
            _environ[os.fsdecode(name)] = os.fsdecode(value)
    if _environ._data.get(_ZONE) != zone and hasattr(time, "tzset"):
        time.tzset()


def _umask() -> int:
    mask = os.umask(0o077)  # none of another thread's files is open to more people meanwhile
    os.umask(mask)
    return mask


_UNCAUGHT = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}
_signal: Any = importlib.import_module("_signal")
_SIGNALS = [int(n) for n in sorted(signal.valid_signals() - _UNCAUGHT) if int(n) < 32]


def _handlers() -> list[Any]:
    return [_signal.getsignal(number) for number in _SIGNALS]  # the other makes enums, 60 us


def _put_handlers(before: list[Any]) -> None:
    for number, old, new in zip(_SIGNALS, before, _handlers(), strict=True):
        if old != new and old is not None:  # None was set by C code
            signal.signal(number, old)


_TIMERS = [
    getattr(signal, name)
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    if hasattr(signal, name)
]


def _timers() -> list[bool]:
    return [signal.getitimer(timer)[0] > 0 for timer in _TIMERS]


def _stop_timers(before: list[bool]) -> None:
    for timer, ran in zip(_TIMERS, before, strict=True):
        if not ran:
            signal.setitimer(timer, 0)


def _decimal() -> tuple[Any, ...]:
    c = decimal.getcontext()
    return c.prec, c.rounding, c.Emin, c.Emax, c.capitals, c.clamp, [*c.traps.values()]


def _put_decimal(before: tuple[Any, ...]) -> None:
    prec, rounding, low, high, capitals, clamp, on = before
    traps = [trap for trap, is_on in zip(decimal.getcontext().traps, on, strict=True) if is_on]
    decimal.setcontext(decimal.Context(prec, rounding, low, high, capitals, clamp, [], traps))


def _imports() -> tuple[list[Any], ...]:
    return [*sys.path], [*sys.meta_path], [*sys.path_hooks]


def _put_imports(before: tuple[list[Any], ...]) -> None:
    lists: tuple[list[Any], ...] = (sys.path, sys.meta_path, sys.path_hooks)
    for live, old in zip(lists, before, strict=True):
        live[:] = old


_HOOKS = [
    (sys, name)
    for name in ("excepthook", "unraisablehook", "displayhook", "stdin", "__stdout__", "__stderr__")
] + [(threading, "excepthook")]


def _hooks() -> tuple[Any, ...]:
    return (*(getattr(owner, name) for owner, name in _HOOKS), sys.gettrace(), sys.getprofile())


def _put_hooks(before: tuple[Any, ...]) -> None:
    *values, trace, profile = before
    for (owner, name), value in zip(_HOOKS, values, strict=True):
        setattr(owner, name, value)
    sys.settrace(trace)
    sys.setprofile(profile)


def _interpreter() -> tuple[Any, ...]:
    digits = getattr(sys, "get_int_max_str_digits", lambda: None)()
    return (
        sys.getrecursionlimit(),
        sys.getswitchinterval(),
        digits,
        gc.isenabled(),
        gc.get_threshold(),
    )


def _put_interpreter(before: tuple[Any, ...]) -> None:
    depth, interval, digits, collects, threshold = before
    sys.setrecursionlimit(depth)
    sys.setswitchinterval(interval)
    if digits is not None:
        sys.set_int_max_str_digits(digits)
    (gc.enable if collects else gc.disable)()
    gc.set_threshold(*threshold)


def _limits() -> list[Any]:
    return [resource.getrlimit(limit) for limit in _LIMITS]


def _put_limits(before: list[Any]) -> None:
    for limit, ends in zip(_LIMITS, before, strict=True):
        if resource.getrlimit(limit) != ends:
            resource.setrlimit(limit, ends)


def _numpy() -> tuple[Any, ...]:
    return np.geterr(), np.geterrcall(), np.get_printoptions()


def _put_numpy(before: tuple[Any, ...]) -> None:
    errors, call, options = before
    np.seterr(**errors)
    np.seterrcall(call)
    np.set_printoptions(**options)


def _pandas() -> Any:
    config = sys.modules.get("pandas._config.config")
    options = getattr(config, "_global_config", None)
    return ABSENT if options is None else options


def _copy(options: Any) -> Any:
    return (
        options
        if options is ABSENT
        else {k: _copy(v) if type(v) is dict else v for k, v in options.items()}
    )


def _put_pandas(before: Mapping[str, Any], now: Any = None, above: str = "") -> None:
    import pandas as pd

    for name, value in (_pandas() if now is None else now).items():
        old = before.get(name, value)
        if isinstance(value, dict) and isinstance(old, dict):
            _put_pandas(old, value, f"{above}{name}.")
        elif value != old:
            pd.set_option(above + name, old)  # which also does what hangs on it


def _sklearn() -> Any:
    sklearn = sys.modules.get("sklearn")
    config = getattr(sklearn, "get_config", None)
    return ABSENT if config is None else config()


def _put_sklearn(before: Mapping[str, Any]) -> None:
    import sklearn

    sklearn.set_config(**before)


def _socket() -> Any:
    socket = sys.modules.get("socket")
    return ABSENT if socket is None else socket.getdefaulttimeout()


def _put_socket(before: float | None) -> None:
    import socket

    socket.setdefaulttimeout(before)


ENVIRONMENT, IMPORTS, PANDAS = "the environment variables", "the import path", "pandas' options"

SETTINGS = [
    Setting("the working directory", _folder, _enter, is_cheap=True),
    Setting(ENVIRONMENT, _variables, _put_variables, is_cheap=True),
    Setting("the locale", lambda: locale.setlocale(locale.LC_ALL),
            lambda before: locale.setlocale(locale.LC_ALL, before), is_cheap=True),
    Setting("the umask", _umask, os.umask, is_cheap=True),
    Setting("signal handlers", _handlers, _put_handlers, is_cheap=True),
    Setting("timers", _timers, _stop_timers),
    Setting("the decimal context", _decimal, _put_decimal, is_cheap=True),
    Setting(IMPORTS, _imports, _put_imports, is_cheap=True),
    Setting("hooks of the interpreter", _hooks, _put_hooks),
    Setting("limits of the interpreter", _interpreter, _put_interpreter, is_cheap=True),
    Setting("numpy's settings", _numpy, _put_numpy),
    Setting(PANDAS, _pandas, _put_pandas, _copy),
    Setting("scikit-learn's configuration", _sklearn, _put_sklearn),
    Setting("the time-out of sockets", _socket, _put_socket),
]  # fmt: skip

if hasattr(signal, "pthread_sigmask"):
    SETTINGS.append(Setting(
        "blocked signals", lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ))  # fmt: skip
if _LIMITS:
    SETTINGS.append(Setting("limits of the process", _limits, _put_limits))
if hasattr(os, "getpriority"):
    SETTINGS.append(Setting(
        "the priority", lambda: os.getpriority(os.PRIO_PROCESS, 0),
        lambda before: os.setpriority(os.PRIO_PROCESS, 0, before),
    ))  # fmt: skip
if hasattr(os, "sched_getaffinity"):
    SETTINGS.append(Setting(
        "the processors", lambda: os.sched_getaffinity(0),
        lambda before: os.sched_setaffinity(0, before),
    ))  # fmt: skip
