"""Ends with 0 when an address answers 200: what docker-compose asks of each container."""

import sys

from scripts.lib.client import NoAnswer, call


def main(url: str) -> int:
    """Ask once; whatever is not 200 is shown, and so stands in `docker inspect`."""
    try:
        status, body = call("GET", url, timeout=4)
    except NoAnswer as error:
        status, body = 0, error
    if status != 200:
        print(status, body)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
