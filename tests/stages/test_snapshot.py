import pytest

from driftloop.adapters.objectstore import FsspecStore
from driftloop.stages.snapshot import DuplicateRunError, NoDataError, claim_run, claim_uri, data_digest

STORE = FsspecStore()


def test_the_digest_follows_content_and_not_names(tmp_path):
    first, copy, other = (tmp_path / name for name in ("a.csv", "b.csv", "c.csv"))
    first.write_text("x,y\n1,2\n")
    copy.write_text("x,y\n1,2\n")
    other.write_text("x,y\n1,3\n")
    assert data_digest(STORE, str(first)) == data_digest(STORE, str(copy)) != data_digest(STORE, str(other))


def test_a_folder_counts_its_tables_only(tmp_path):
    (tmp_path / "part.csv").write_text("x\n1\n")
    before = data_digest(STORE, str(tmp_path))
    (tmp_path / "readme.txt").write_text("about")
    assert data_digest(STORE, str(tmp_path)) == before
    (tmp_path / "part2.csv").write_text("x\n2\n")
    assert data_digest(STORE, str(tmp_path)) != before


def test_no_data_is_told_with_the_address(tmp_path):
    with pytest.raises(NoDataError, match="Nothing found at"):
        data_digest(STORE, str(tmp_path / "absent.csv"))


@pytest.mark.parametrize("root", ["{tmp}", "memory://runs"])
def test_a_second_run_with_the_same_key_is_refused_and_a_retry_is_not(tmp_path, root):
    result = root.format(tmp=tmp_path) + "/new folder/result.json"
    claim_run(STORE, result, run_key="k", run_id="one")
    claim_run(STORE, result, run_key="k", run_id="one")
    with pytest.raises(DuplicateRunError, match=r"'k' must be used by one run only\. .* made by run one\."):
        claim_run(STORE, result, run_key="k", run_id="two")


def test_the_claim_lies_beside_the_result():
    assert claim_uri("s3://b/runs/k/result.json") == "s3://b/runs/k/result.claim.json"
