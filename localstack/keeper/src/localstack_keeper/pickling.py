"""Serialization of services' state.

The standard library's pickler, in C, and dill for what it cannot do: functions and classes that no
module has by name. LocalStack's own pickler is dill throughout, in Python: a new account's IAM,
3 MB of managed policies, then takes 1 s and not 0.05 s, each time anything in it changes.

Some classes have reducers here. Locks come back free: dill restores a free `RLock` of Python 3.13
as a held one. Threads and clients become None, a Step Functions execution leaves out its
interpreter, and moto has defaultdicts that cannot be made the usual way.
"""

import importlib
import io
import pickle
import threading
from collections import defaultdict
from types import FunctionType
from typing import Any, Final

import dill
from botocore.client import BaseClient

_LOCKS: Final = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}


def dumps(state: object) -> bytes:
    """Return a pickle. Raises what classes raise, and RuntimeError if the state changes."""
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(state)
    return buffer.getvalue()


def loads(data: bytes) -> Any:  # noqa: ANN401 - whatever was written
    """Return what was pickled. Raises whatever its classes raise."""
    return _Unpickler(io.BytesIO(data)).load()


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:  # noqa: ANN401 - as pickle has it
        kind = type(obj)
        if kind in _LOCKS:
            return _LOCKS[kind], ()
        if isinstance(obj, (FunctionType, type)):
            return NotImplemented if _is_named(obj) else (dill.loads, (dill.dumps(obj),))
        if isinstance(obj, (threading.Thread, BaseClient)):
            return _nothing, ()
        for prefix, module in _LATE_REDUCERS.items():
            if kind.__module__.startswith(prefix):
                return importlib.import_module(module).reduce(obj)
        for base, reduce in _REDUCERS.items():
            if isinstance(obj, base):
                return reduce(obj)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - as pickle has it
        return super().find_class(_FORMER_MODULES.get(module, module), name)


def _is_named(obj: Any) -> bool:  # noqa: ANN401 - a function or a class
    found: Any = importlib.import_module(obj.__module__) if obj.__module__ else None
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def _nothing() -> None:
    return None


def _reduce_condition(condition: Any) -> tuple[object, ...]:  # noqa: ANN401 - private parts
    # With the lock that it shares, for a queue has three conditions on one.
    return threading.Condition, (condition._lock,)  # noqa: SLF001


def _reduce_defaultdict(made: defaultdict[Any, Any]) -> tuple[object, ...]:
    # Not by its class's constructor, which in moto wants other arguments than defaultdict's.
    state = getattr(made, "__dict__", None) or None
    return _defaultdict, (type(made), made.default_factory), state, None, iter(list(made.items()))


def _defaultdict(kind: type[defaultdict[Any, Any]], factory: Any) -> defaultdict[Any, Any]:  # noqa: ANN401
    made: defaultdict[Any, Any] = defaultdict.__new__(kind)
    made.default_factory = factory
    return made


_REDUCERS: Final[dict[type, Any]] = {
    threading.Condition: _reduce_condition,
    defaultdict: _reduce_defaultdict,
}

# In modules of their own, since what they import is large, and mostly not loaded.
_LATE_REDUCERS: Final = {
    "cryptography.hazmat.bindings._rust": "localstack_keeper.key_pickling",
    "moto.logs.models": "localstack_keeper.log_stream_pickling",
    "localstack.services.stepfunctions.backend.execution": (
        "localstack_keeper.rehydration.stepfunctions"
    ),
}

# What these modules are called in pickles of former versions.
_FORMER_MODULES: Final = {
    "localstack_keeper.keys": "localstack_keeper.key_pickling",
    "localstack_keeper.log_streams": "localstack_keeper.log_stream_pickling",
    "localstack_keeper.revivals.stepfunctions": "localstack_keeper.rehydration.stepfunctions",
}
