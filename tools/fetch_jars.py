"""Fetch the jars of a jgo lock file into a folder: `fetch_jars.py jgo.lock.toml libs/`.

Run by the broker's own environment, which has jgo. The lock says which jars; nothing is resolved
again, so no POM is read and the set cannot differ from the locked one. A jar whose SHA-256 is not
the lock's is thrown away, from jgo's cache too, and fetched once more.
"""

import hashlib
import shutil
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jgo.maven import MavenContext  # type: ignore[import-not-found]  # the broker's environment


@dataclass(frozen=True)
class Jar:
    """One locked jar."""

    group: str
    artifact: str
    version: str
    sha256: str


def main(lock: Path, target: Path) -> int:
    """Put exactly the locked jars into `target`, which appears whole or not at all."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    context = MavenContext()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda jar: fetch(context, jar, part), locked(lock)))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return 0


def locked(lock: Path) -> list[Jar]:
    """Return the jars that a lock file lists."""
    entries = tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    return [Jar(e["groupId"], e["artifactId"], e["version"], e["sha256"]) for e in entries]


def fetch(context: MavenContext, jar: Jar, target: Path) -> None:
    """Copy one jar into `target`. Raises ValueError if what is served is not what was locked."""
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    for _ in range(2):
        source = Path(component.artifact().resolve())
        copy = shutil.copyfile(source, target / source.name)
        found = hashlib.sha256(copy.read_bytes()).hexdigest()
        if found == jar.sha256:
            return
        source.unlink()
    raise ValueError(f"{jar.artifact}-{jar.version}.jar: SHA-256 {found}, locked {jar.sha256}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
