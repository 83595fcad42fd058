"""Fetch the jars of a jgo lock file into a folder: `fetch_jars.py jgo.lock.toml libs/`.

Run by the broker's own environment, which has jgo. The lock says which jars; nothing is resolved
again, so no POM is read and the set cannot differ from the locked one. A jar whose SHA-256 is not
the lock's is thrown away, from jgo's cache too, and fetched once more.
"""

import hashlib
import shutil
import sys
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext  # type: ignore[import-not-found]  # the broker's environment


def main(lock: Path, target: Path) -> int:
    """Put exactly the locked jars into `target`, which appears whole or not at all."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    jars = tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    context = MavenContext()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda jar: fetch(context, jar, part), jars))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    return 0


def fetch(context: MavenContext, jar: Mapping[str, str], target: Path) -> None:
    """Copy one jar into `target`. Raises ValueError if what is served is not what was locked."""
    project = context.project(jar["groupId"], jar["artifactId"])
    for _ in range(2):
        source = Path(project.at_version(jar["version"]).artifact().resolve())
        copy = shutil.copyfile(source, target / source.name)
        found = hashlib.sha256(copy.read_bytes()).hexdigest()
        if found == jar["sha256"]:
            return
        source.unlink()
    raise ValueError(f"{source.name}: SHA-256 {found}, locked {jar['sha256']}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
