"""Times one yardstick: python3 time_yardstick.py NAME --seconds N [--trial]. Prints versions and then one line of JSON for each mode."""
import argparse

from measure import device, measured, tell, versions
from yardsticks import job


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('name')
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--trial', action='store_true', help='tiny sizes, on the processor where there is nothing else: the figures mean nothing')
    options = parser.parse_args()
    on = device(options.trial)
    tell({'versions': versions()})
    for tf32 in (False, True):
        for kind in ('eager', 'compile', 'graphs'):
            flops, make = job(options.name, on, options.trial)
            label = f"torch {kind}{' tf32' if tf32 else ''}"
            measured(label, kind, tf32, make, options.seconds / 6, {} if flops is None else {'flops': flops})


if __name__ == '__main__':
    main()
