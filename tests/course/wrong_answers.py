"""Answers that students give, and a part of what each is told: (code, words), by exercise."""

WRONG = {
    "1.1": [
        ("lambda labels: 1 / labels.nunique()", "equally frequent"),
        ("lambda labels: labels.value_counts().max()", "number of images"),
        ("lambda labels: labels.mean()", "names, not amounts"),
        ("lambda labels: labels.value_counts(normalize=True)", "one number"),
        ("lambda labels: print()", "returns nothing"),
    ],
    "1.2": [
        ("lambda a, b: a - b", "gain alone"),
        ("lambda a, b: a / b", "subtract the baseline first"),
        ("lambda a, b: (a - b) / b", "divided the gain by the baseline"),
        ("lambda a, b: max(0, (a - b) / (1 - b))", "do not cut it off"),
    ],
    "1.3": [
        ("lambda h, x: h.loc[h['accuracy'] >= x, 'epoch'].min()", "add 1"),
        ("lambda h, x: h['accuracy'].idxmax() + 1", "not the best"),
        ("lambda h, x: h.loc[h['accuracy'] >= x, 'accuracy'].min()", "in which epoch"),
        ("lambda h, x: 2", "a missing value is not a fast one"),
    ],
}
WRONG |= {
    "2.1": [
        ("lambda hu, c, w: (hu - hu.min()) / (hu.max() - hu.min())", "own minimum"),
        ("lambda hu, c, w: (hu - c + w / 2) / w", "Clip it"),
        ("lambda hu, c, w: np.clip((hu - c + w) / (2 * w), 0, 1)", "whole width"),
        ("lambda hu, c, w: np.minimum((hu - c + w / 2) / w, 1)", "black, 0"),
    ],
    "2.2": [
        ("lambda p, t: np.isin(p, list(set(p[t]) & set(p[~t]))).sum()", "counts slices"),
        ("lambda p, t: len(set(p[t]))", "eve stands on one side"),
        ("lambda p, t: 2", "nobody stands on both sides"),
    ],
    "2.3": [
        ("lambda p, s, seed: np.random.default_rng(seed).random(len(p)) < s", "draw names of patients"),
        ("lambda p, s, seed: np.isin(p, np.unique(p)[: round(s * 20)])", "another seed"),
        ("lambda p, s, seed: np.random.default_rng(seed).choice(np.unique(p), 6)", "one True or False"),
        ("lambda p, s, seed: np.isin(p, np.random.default_rng(seed).choice(np.unique(p), 6))", "none of them twice"),
        ("lambda p, s, seed: np.isin(p, np.random.choice(np.unique(p), 6, replace=False))", "use only `rng`"),
    ],
    "2.4": [
        ("lambda a, b, s: np.unique(b[(s[a] == 'train') & (s[b] == 'test')])", "stands second"),
        ("lambda a, b, s: np.unique(np.concatenate([a, b]))", "another test image"),
        (
            "lambda a, b, s: np.concatenate([b[(s[a] == 'train') & (s[b] == 'test')],"
            " a[(s[b] == 'train') & (s[a] == 'test')]])",
            "each row once",
        ),
    ],
    "3.1": [
        ("lambda n: np.log(n)", "more views than pairs"),
        ("lambda n: np.log(2 * n)", "not compared with itself"),
        ("lambda n: np.log(2 * n - 2)", "partner is among"),
        ("lambda n: -np.log(2 * n - 1)", "check the sign"),
        ("lambda n: 2 * n - 1", "a logarithm"),
    ],
    "3.2": [
        ("lambda s, k, t: s[k] / t - np.log(np.exp(s / t).sum())", "sign is wrong"),
        ("lambda s, k, t: np.exp(s[k] / t) / np.exp(s / t).sum()", "is the probability"),
        ("lambda s, k, t: np.log(np.exp(np.delete(s / t, k)).sum()) - s[k] / t", "belongs in the sum"),
        ("lambda s, k, t: np.log(np.exp(s).sum()) - s[k]", "temperature was left out"),
        ("lambda s, k, t: np.log(np.exp(s / t).sum()) - s[0] / t", "need not be the first"),
        ("lambda s, k, t: np.log(np.exp(s / 0.5).sum()) - s[k] / 0.5", "not always by 0.5"),
    ],
    "3.3": [
        ("lambda x, n: np.log(2 * n - 1) - x", "divide by how far"),
        ("lambda x, n: (np.log(2 * n - 1) - x) / np.log(2 * n - 1)", "cannot fall to 0"),
        (
            "lambda x, n: (x - np.log(2 * n - 1)) / (np.log(2 * n - 1) - np.log1p((2 * n - 2) * np.exp(-2)))",
            "a loss that falls goes forward",
        ),
    ],
    "4.1": [
        (
            "lambda m: sum(w.requires_grad for w in m.parameters()) / len(list(m.parameters()))",
            "counted tensors",
        ),
        ("lambda m: sum(w.numel() for w in m.parameters() if w.requires_grad)", "divide it by the number of all"),
        (
            "lambda m: sum(w.numel() for w in m.parameters() if not w.requires_grad)"
            " / sum(w.numel() for w in m.parameters())",
            "frozen share",
        ),
    ],
    "4.2": [
        ("lambda a, b: ((a - a.mean(0)) / a.std(0), (b - b.mean(0)) / b.std(0))", "own mean"),
        (
            "lambda a, b: tuple((x - np.concatenate([a, b]).mean(0)) / np.concatenate([a, b]).std(0) for x in (a, b))",
            "together",
        ),
        ("lambda a, b: (a - a.mean(0)) / a.std(0)", "both arrays"),
        ("lambda a, b: (a - a.mean(0), b - a.mean(0))", "divide by the sd"),
    ],
    "4.3": [
        ("lambda m: m.train() and (m.encoder.requires_grad_(False), m)[1]", "statistics moved"),
        ("lambda m: (m.train(), m.encoder.eval(), m)[2]", "have learned"),
        ("lambda m: (m.requires_grad_(False), m.eval(), m)[2]", "nothing learns any more"),
    ],
    "5.1": [
        ("lambda y, n, s: np.sort(np.random.default_rng(s).choice(len(y), 15, replace=False))", "within each class"),
        ("lambda y, n, s: np.concatenate([np.flatnonzero(y == k)[:n] for k in np.unique(y)])", "not the first ones"),
        (
            "lambda y, n, s: np.concatenate([np.random.default_rng(s).choice(np.flatnonzero(y == k), n)"
            " for k in np.unique(y)])",
            "without replacement",
        ),
    ],
    "5.2": [
        ("lambda c, a, x: np.interp(x, a, c)", "along its logarithm"),
        ("lambda c, a, x: np.interp(x, a, np.log(c))", "np.exp"),
        ("lambda c, a, x: np.exp(np.interp(x, a, np.log(c)))", "no guess beyond"),
    ],
    "5.3": [
        ("lambda p, n: p * (1 - p)", "variance of one answer"),
        ("lambda p, n: p * (1 - p) / n", "square root"),
        ("lambda p, n: np.sqrt(p * (1 - p))", "known better"),
        ("lambda p, n: np.sqrt(p * (1 - p)) / n", "root of n"),
        ("lambda p, n: np.sqrt(p / n)", "yes-or-no"),
    ],
    "6.1": [
        ("lambda a, b: a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)", "square root"),
        ("lambda a, b: a.std(ddof=1) / len(a) ** 0.5 + b.std(ddof=1) / len(b) ** 0.5", "add the squares"),
        ("lambda a, b: np.sqrt(a.var(ddof=1) + b.var(ddof=1))", "means are known better"),
    ],
    "6.2": [
        ("lambda a, b: 0.05", "one direction"),
        ("lambda a, b: 0.0", "one of the ways"),
        ("lambda a, b: 2", "take the share"),
    ],
    "6.3": [
        ("lambda p: np.minimum(1, p * len(p))", "Bonferroni"),
        ("lambda p: p * (len(p) - np.argsort(np.argsort(p)))", "never below the one before"),
        ("lambda p: np.sort([0.09, 0.004, 0.09, 0.5])", "sorted"),
    ],
    "6.4": [
        ("lambda d, s, w=0.8: 16", "normal distribution"),
        ("lambda d, s, w=0.8: 2", "go on until"),
        ("lambda d, s, w=0.8: 17 if d < 0.1 else 2", "use `wanted`"),
    ],
    "7.1": [
        (
            "lambda x, y: np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)",
            "not centred",
        ),
        ("lambda x, y: np.linalg.norm((x - x.mean(0)).T @ (y - y.mean(0))) ** 2", "above 1"),
        (
            "lambda x, y: [np.linalg.norm(a.T @ b) / np.sqrt(np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))"
            " for a, b in [(x - x.mean(0), y - y.mean(0))]][0]",
            "squared",
        ),
    ],
    "7.2": [
        ("lambda x, y, m, s: m(x, y)", "old order"),
        ("lambda x, y, m, s: m(x, y[::-1])", "another seed"),
        ("lambda x, y, m, s: m(x, np.random.default_rng(s).permuted(y, axis=0))", "whole rows"),
        (
            "lambda x, y, m, s: [m(x[q], y[q]) for q in [np.random.default_rng(s).permutation(len(y))]][0]",
            "x has to stay",
        ),
        ("lambda x, y, m, s: m(x, y[np.random.default_rng(s).integers(0, len(y), len(y))])", "drawn twice"),
    ],
    "7.3": [
        ("lambda a, b: np.linalg.norm(b - a)", "divide by where"),
        ("lambda a, b: np.linalg.norm(b - a) / np.linalg.norm(b)", "before, not after"),
        ("lambda a, b: np.linalg.norm(b) / np.linalg.norm(a) - 1", "compared lengths"),
    ],
    "8.1": [
        ("lambda a, g: np.tensordot(g.mean(axis=(1, 2)), a, axes=1)", "cut them off"),
        ("lambda a, g: np.abs(np.tensordot(g.mean(axis=(1, 2)), a, axes=1))", "absolute value"),
        ("lambda a, g: np.maximum(0, (a * g).sum(axis=0))", "place by place"),
        ("lambda a, g: np.maximum(0, a.mean(axis=0))", "not weighted"),
    ],
    "8.2": [
        ("lambda h, m: h[m].sum()", "amount of heat"),
        ("lambda h, m: h[m].mean()", "mean heat"),
        ("lambda h, m: m.mean()", "whatever the heat"),
        ("lambda h, m: h[~m].sum() / h.sum()", "outside"),
    ],
    "8.3": [
        ("lambda h, m: h[m].sum() / h.sum()", "share of the area"),
        ("lambda h, m: h[m].sum() / h.sum() - m.mean()", "do not subtract"),
        ("lambda h, m: h[m].sum() / h.sum() * m.mean()", "divide the one share"),
    ],
    "9.1": [
        ("lambda g, y: pd.crosstab(g, y, normalize='index').max(axis=1).mean()", "mean over groups"),
        ("lambda g, y: pd.crosstab(g, y).max(axis=1).sum()", "number of images"),
        ("lambda g, y: y.value_counts(normalize=True).max()", "one of its own"),
    ],
    "9.2": [
        ("lambda c, k: sum(x / sum(c) * np.log(x / sum(c)) for x in c if x) / np.log(k)", "sign is wrong"),
        ("lambda c, k: -sum(x / sum(c) * np.log(x / sum(c)) for x in c if x)", "log(kinds)"),
        ("lambda c, k: -sum(x / sum(c) * np.log2(x / sum(c)) for x in c if x)", "could have been four"),
    ],
    "9.3": [
        ("lambda t, a, b: sorted(t.index[(t['entropy'] <= a) | (t['size'] >= b)])", "&, not |"),
        ("lambda t, a, b: sorted(t.index[(t['entropy'] < a) & (t['size'] > b)])", "exactly at the limit"),
        ("lambda t, a, b: list(t.index[(t['entropy'] <= a) & (t['size'] >= b)])", "sort their numbers"),
        ("lambda t, a, b: [0, 7]", "use both"),
    ],
    "10.1": [
        ("lambda a, b: (a - b, 100 * (a / b - 1))", "one point is 0.01"),
        ("lambda a, b: (100 * (a / b - 1), 100 * (a - b))", "wrong way round"),
        ("lambda a, b: (100 * (a - b), 100 * (1 - b / a))", "percentage is of b"),
        ("lambda a, b: 100 * (a - b)", "two numbers"),
    ],
    "10.2": [
        ("lambda n, k: k / 252", "one-sided"),
        ("lambda n, k: 2 / 2 ** (2 * n) * k", "not coins"),
        ("lambda n, k: 2 / 252", "times 3"),
        ("lambda n, k: 2 * k / {2: 6, 5: 252}[n]", "never above 1"),
    ],
    "10.3": [
        ("lambda v, t: v == float(t)", "not equal"),
        ("lambda v, t: abs(v - float(t)) <= 0.1", "not all of it"),
        ("lambda v, t: True", "not the same"),
        ("lambda v, t: abs(v - float(t)) <= 0.05", "without decimals"),
    ],
}
