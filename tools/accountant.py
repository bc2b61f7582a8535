"""Ask the accountant of Opacus for the epsilons that the chapter on responsibility prints beside
its own.

python tools/accountant.py      writes the entry "accountant" of lib/data/measured.json
"""

import warnings

from stored import store

RATE, DELTA = 90 / 900, 1e-4
NOISES, STEPS = (0.5, 1, 2, 4, 8), (50, 200, 400)


def account() -> list[list[float]]:
    """epsilon[noise][steps], over the orders that Opacus takes by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import RDPAccountant

        result = []
        for noise in NOISES:
            accountant = RDPAccountant()
            result.append([])
            for steps in STEPS:
                accountant.history = [(noise, RATE, steps)]
                result[-1].append(round(accountant.get_epsilon(DELTA), 4))
    return result


if __name__ == "__main__":
    store("accountant", account())
