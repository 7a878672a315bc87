"""An S3 store on this machine (moto's server), with nothing but what a test puts into it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

KEYS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "geheim",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs in its environment to be let in; anybody may list a bucket."""

BUCKET = "scans"


@contextmanager
def object_store() -> Iterator[tuple[Any, str]]:
    """Yield a client of a store that has a bucket, and what its addresses end with.

    This process and those that it starts meanwhile are let in. Skips the test where there is no
    such server.
    """
    reason = "moto, a store for tests, or flask-cors, which it needs, is not installed"
    moto = pytest.importorskip("moto.server", reason=reason, exc_type=ImportError)
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with mock.patch.dict(os.environ, KEYS):
        server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket=BUCKET)
        try:
            yield client, f"?scheme=http&endpoint_override={host}:{port}"
        finally:
            client.close()
            server.stop()
