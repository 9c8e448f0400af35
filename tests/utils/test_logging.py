"""Log files hold no passwords."""

import logging

from avslowfast.utils.logging import get_logger, setup_logging


def test_addresses_are_logged_without_passwords_and_signatures(tmp_path):
    setup_logging(str(tmp_path))
    try:
        get_logger("avslowfast.x").warning(
            "%s and %s", "https://user:hush@host/a.mp4: no", "s3://b/c.mp4?X-Amz-Signature=hush (ok?)"
        )
    finally:
        for handler in list(logging.getLogger("avslowfast").handlers):
            logging.getLogger("avslowfast").removeHandler(handler)
            handler.close()
    assert "https://***@host/a.mp4: no and s3://b/c.mp4?... (ok?)" in (tmp_path / "stdout.log").read_text()
