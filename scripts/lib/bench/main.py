"""./scripts/bench: what this machine does, row by row, each with its baseline in one run."""

import signal
import sys
from collections.abc import Sequence

from app.errors import LoyaltyError
from scripts.lib.bench.machine import machine
from scripts.lib.bench.options import bench_options
from scripts.lib.bench.rows import Result, measure
from scripts.lib.bench.show import json_line, lines, markdown
from scripts.lib.say import Stop, say, step


def main(arguments: Sequence[str]) -> int:
    """Measure the rows that are asked for. Answers 0 when all were measured, whether their aims are met or not."""
    options = bench_options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are stopped and folders removed
    here = machine()
    results: list[Result] = []
    try:
        for row in options.rows:
            with step(row, "measuring …") as line:
                found = measure(row)
                line.result = "measured"
            results += found
            for result in found:
                if options.json:
                    print(json_line(result, here), flush=True)
                elif not options.markdown:
                    print("\n".join(lines(result)), flush=True)
    except (Stop, LoyaltyError) as error:
        say(f"{row}: {error}")
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    if options.markdown:
        print(markdown(results, here), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
