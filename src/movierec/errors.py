"""The one exception tree.

    MovierecError
    ├── UsageError            the caller asked for something that makes no sense
    ├── ConfigError           a setting is missing or malformed
    ├── UnavailableError      a server, broker or emulator does not answer
    │   └── UpstreamError     in `proxy.answers`: the API gave no usable answer
    ├── StoreError            an object store refused
    │   ├── ObjectNotFoundError
    │   ├── ObjectExistsError
    │   └── BucketNotFoundError
    ├── LakeError             a lake table refused
    │   ├── TableNotFoundError
    │   ├── VersionNotFoundError  the table is there, but not as it was then
    │   └── ConflictError     somebody else committed under the same transaction name
    ├── MetricsError          CloudWatch refused a metric
    ├── ArtifactError         an artifact's bytes are not what its manifest says
    ├── TrainingError         a run of the training state machine failed
    ├── DatasetError          the lake holds too little to build a dataset from
    ├── DemoError             the loop ran, but something in its summary is wrong
    └── ReleaseError          a release step cannot be taken from the present state
        ├── ReleaseNotFoundError  no such function, version, alias or API
        └── ReleaseConflictError  somebody else changed it meanwhile

A message says what happened, where, and what to do next; the command line prints it as it is, on
one line, and exits with `exit_code`.
"""


class MovierecError(Exception):
    """Anything this product can say about its own failure."""

    exit_code = 1
    next_step = ""
    """What usually helps, for doors that translate a foreign error into this one."""


class UsageError(MovierecError):
    """The caller asked for something that makes no sense."""

    exit_code = 2


class ConfigError(MovierecError):
    """A setting is missing or malformed."""

    exit_code = 2


class UnavailableError(MovierecError):
    """A server, broker or emulator does not answer."""

    exit_code = 3
    next_step = "is it up? see `movierec status`"


class StoreError(MovierecError):
    """An object store refused a request."""


class ObjectNotFoundError(StoreError):
    """No object has that key."""


class ObjectExistsError(StoreError):
    """An object with that key is there already, and was not to be replaced."""


class BucketNotFoundError(StoreError):
    """The bucket does not exist."""

    next_step = "`movierec up` makes it, by terraform"


class LakeError(MovierecError):
    """A lake table refused a request."""


class TableNotFoundError(LakeError):
    """The table has never been written."""


class VersionNotFoundError(LakeError):
    """The lake does not hold that version of a table, or no longer."""


class ConflictError(LakeError):
    """Another writer committed under the same transaction name; this one is stale."""


class MetricsError(MovierecError):
    """CloudWatch refused a metric."""


class ArtifactError(MovierecError):
    """An artifact's bytes are not what its manifest says."""


class DatasetError(MovierecError):
    """The lake holds too little to build a dataset from."""


class ReleaseError(MovierecError):
    """A release step cannot be taken from the present state."""


class ReleaseNotFoundError(ReleaseError):
    """No such function, version, alias or API."""

    next_step = "`movierec up` deploys the API and makes its first release"


class ReleaseConflictError(ReleaseError):
    """Somebody else changed the function or its alias meanwhile."""

    next_step = "look at the present state, then decide again"


class DemoError(MovierecError):
    """The loop ran, but something in its summary is wrong."""


class TrainingError(MovierecError):
    """A run of the training state machine failed."""
