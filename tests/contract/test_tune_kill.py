"""A search that is killed goes on with every trial that had ended."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from bench.scale_stages import FolderStore
from functions.train_als.search import Space
from functions.train_als.tuner import Budget, Tuner
from movierec.model import tuning
from movierec.model.validation import validation_split
from movierec.runtime import atomic_file
from tests.unit.movierec.model.tastes import tasteful

ROOT = Path(__file__).parents[2]
TRIALS = 400
WITHIN_S = 60


class WholeFiles(FolderStore):
    """Objects appear whole, as on S3."""

    def put(self, key, body):
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write_whole(path, body.decode(), durable=False)


def tuner(folder, trials):
    study = tuning.Study(WholeFiles(folder), "one/now")
    if not list(study.store.keys("tuning/one/now/study.json")):
        study.open({"objective": "NDCG@20"})
    data = validation_split(tasteful(1))
    return Tuner(study, data, Space(32, 10), Budget(trials, 60), 1, lambda said: None)


def test_a_search_that_was_killed_is_resumed_as_it_would_have_gone_on(tmp_path):
    program = f"""
        from pathlib import Path
        from tests.contract.test_tune_kill import tuner
        tuner(Path({str(tmp_path)!r}), {TRIALS}).run()
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    search = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], env=env)
    kept, until_s = tuning.Study(WholeFiles(tmp_path), "one/now"), time.monotonic() + WITHIN_S
    while len(kept.trials()) < 3:
        assert time.monotonic() < until_s
        assert search.poll() is None
    os.kill(search.pid, signal.SIGKILL)
    search.wait()
    before = kept.trials()
    assert 3 <= len(before) < TRIALS
    after = tuner(tmp_path, len(before) + 2).run()["trials"]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 2
    assert tuning.chosen(kept.store).facts["trials"] == len(after)
