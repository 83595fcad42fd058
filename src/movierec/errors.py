"""The one exception tree.

    MovierecError
    ├── UsageError            an argument or request is invalid
    ├── ConfigError           a setting is missing or malformed
    ├── UnavailableError      a server, broker or emulator does not answer
    │   └── UpstreamError     in `proxy.answers`: the API gave no usable answer
    ├── StoreError            an object store refused a request
    │   ├── ObjectNotFoundError
    │   ├── ObjectExistsError
    │   └── BucketNotFoundError
    ├── LakeError             a lake table refused a request
    │   ├── TableNotFoundError
    │   ├── VersionNotFoundError  the table exists, that version does not or no longer
    │   └── ConflictError     another writer committed under the same transaction name
    ├── MetricsError          CloudWatch refused a metric
    ├── ArtifactError         an artifact's bytes are not what its manifest says
    ├── TrainingError         a run of the training state machine failed
    ├── DatasetError          the lake holds too little to build a dataset from
    │   └── DataQualityError  a hard rule of data quality is broken
    ├── CapacityError         training takes more memory or time than there is
    ├── DemoError             the demo ran, but a check in its summary failed
    └── ReleaseError          the present state does not allow a release step
        ├── ReleaseNotFoundError  no such function, version, alias or API
        └── ReleaseConflictError  a concurrent change: the revision is stale

A message says what happened, where, and what to do next; the command line prints it as it is, on
one line, and exits with `exit_code`.
"""


class MovierecError(Exception):
    """Base of all errors that this product raises."""

    exit_code = 1
    next_step = ""
    """What usually helps; appended where a foreign error is translated into this one."""


class UsageError(MovierecError):
    """An argument or request is invalid."""

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
    """An object with that key exists, and the put was conditional."""


class BucketNotFoundError(StoreError):
    """The bucket does not exist."""

    next_step = "`movierec up` makes it, by terraform"


class LakeError(MovierecError):
    """A lake table refused a request."""


class TableNotFoundError(LakeError):
    """The table has never been written."""


class VersionNotFoundError(LakeError):
    """The table exists, but not that version, or no longer."""


class ConflictError(LakeError):
    """Another writer committed under the same transaction name; this one is stale."""


class MetricsError(MovierecError):
    """CloudWatch refused a metric."""


class ArtifactError(MovierecError):
    """An artifact's bytes are not what its manifest says."""


class DatasetError(MovierecError):
    """The lake holds too little to build a dataset from."""


class DataQualityError(DatasetError):
    """A hard rule of data quality is broken."""


class CapacityError(MovierecError):
    """Training takes more memory or time than there is."""


class ReleaseError(MovierecError):
    """The present state does not allow a release step."""


class ReleaseNotFoundError(ReleaseError):
    """No such function, version, alias or API."""

    next_step = "`movierec up` deploys the API and makes its first release"


class ReleaseConflictError(ReleaseError):
    """A concurrent change of the function or its alias: the revision is stale."""

    next_step = "check the present state, then decide again"


class DemoError(MovierecError):
    """The demo ran, but a check in its summary failed."""


class TrainingError(MovierecError):
    """A run of the training state machine failed."""
