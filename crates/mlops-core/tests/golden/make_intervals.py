"""Golden intervals: Wilson's from statsmodels, Newcombe's of an ROC AUC as roots of its equation.

Prints what the tests of `src/metrics/interval.rs` hold. Not run by the tests.
"""

import mpmath as mp
from statsmodels.stats.proportion import proportion_confint

mp.mp.dps = 50
Z = mp.sqrt(2) * mp.erfinv(mp.mpf("0.95"))

for k, n in [(30, 30), (0, 10), (7, 10), (410, 500)]:
    print("wilson", k, n, *(repr(float(x)) for x in proportion_confint(k, n, method="wilson")))

for auc, p, n in [(0.5, 30, 30), (0.8, 15, 40), (0.933, 100, 20), (1.0, 15, 15), (1.0, 1, 1), (0.0, 8, 3)]:
    a = mp.mpf(auc)
    more = mp.mpf(p + n) / 2 - 1
    # (a - x)^2 (2 - x)(1 + x) p n = z^2 x (1 - x) [(2 - x)(1 + x) + more ((1 - x)(1 + x) + x (2 - x))]
    def poly(*c):
        return list(map(mp.mpf, c))
    def times(f, g):
        out = [mp.mpf(0)] * (len(f) + len(g) - 1)
        for i, x in enumerate(f):
            for j, y in enumerate(g):
                out[i + j] += x * y
        return out
    def plus(f, g):
        size = max(len(f), len(g))
        f, g = [0] * (size - len(f)) + f, [0] * (size - len(g)) + g
        return [x + y for x, y in zip(f, g)]
    base = times(poly(-1, 2), poly(1, 1))
    left = times(times(poly(1, -2 * a, a * a), base), [mp.mpf(p * n)])
    bracket = plus(base, times([more], plus(times(poly(-1, 1), poly(1, 1)), times(poly(1, 0), poly(-1, 2)))))
    right = times(times([Z**2], poly(-1, 1, 0)), bracket)
    roots = mp.polyroots(plus(left, [-x for x in right]), maxsteps=500, extraprec=400)
    inside = sorted(mp.re(r) for r in roots if abs(mp.im(r)) < 1e-20 and -1e-20 <= mp.re(r) <= 1 + 1e-20)
    print("auc", auc, p, n, *(repr(float(r)) for r in inside))
