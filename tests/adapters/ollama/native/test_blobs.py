"""Digests, and what is asked of a host about a blob."""

from __future__ import annotations

import json

import pytest

from adapters.errors import InvalidRequest
from adapters.ollama.native.blobs import check_digest, look, missing, store
from adapters.ollama.native.errors import encode_refusal
from tests.adapters.ollama.recorded import recording

HEX = "708811ccb1510c6d6c6e6379ef09be39bdbb0e7edcf44fefcca21c6228ee6d89"


@pytest.mark.parametrize("digest", [f"sha256:{HEX}", f"sha256-{HEX}", f"sha256:{HEX.upper()}"])
def test_a_digest_in_any_spelling(digest: str) -> None:
    check_digest(digest)

    assert (look(digest).method, look(digest).target) == ("HEAD", f"/api/blobs/{digest}")
    assert (store(digest).method, store(digest).target) == ("POST", f"/api/blobs/{digest}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        HEX,
        f"md5:{HEX}",
        f"sha256_{HEX}",
        f"SHA256:{HEX}",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:{HEX[1:]}g",
        f"sha256:{HEX[1:]}\N{FULLWIDTH DIGIT ONE}",
        f"sha256:../{HEX[3:]}",
        f"sha256:{HEX}/../x",
    ],
)
def test_what_is_no_digest_is_refused_in_ollamas_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_digest(text)

    recorded = recording("0.33/blobs-post-bad-digest")
    refusal = encode_refusal(caught.value)
    assert (refusal.status, refusal.body) == (recorded.status, recorded.body)


def test_a_blob_that_is_missing_is_told_of_in_ollamas_words() -> None:
    refusal = encode_refusal(missing(f"sha256:{HEX}"))

    assert refusal.status == recording("0.33/blobs-head-missing").status
    assert len(refusal.body) == 102  # what its content-length says there; an answer to HEAD has no body
    assert json.loads(refusal.body) == {"error": f'blob "sha256:{HEX}" not found'}
