"""What the driver of a cluster does before the cluster reads."""

import pytest

from digitkit.cluster import ray_job
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.pipeline import Tally
from digitkit.inference.worker import Form
from digitkit.sinks.parquet import TableForm

pq = pytest.importorskip("pyarrow.parquet")


def begin(config: InferConfig, *, continues: bool) -> list[str]:
    """List the files, and write what could not be listed; the names of that."""
    failures = []
    made = ray_job._find_files(config, 1, print, continues=continues)
    config.output.mkdir(exist_ok=True)
    form = Form(TableForm("pictures", "m"))
    ray_job._write_unlisted(made, form, config.output, Tally(), failures.append)
    return [failure.source for failure in failures]


def test_what_could_not_be_listed_is_in_the_table_once(digit_file, tmp_path, monkeypatch):
    output = tmp_path / "out.parquet"
    sources = (str(digit_file(1)), str(tmp_path / "*.tiff"))
    config = InferConfig.create(sources=sources, output=output, engine="ray")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ray_job, "write_part", killed)
        begin(config, continues=False)
    assert begin(config, continues=True) == [sources[1]]
    assert begin(config, continues=True) == []
    (row,) = pq.read_table(output).to_pylist()
    assert (row["source"], row["error"]) == (sources[1], "no file matches this pattern")
