"""Right answers that look unlike ours, by exercise: other libraries, other order of the steps, other types."""

RIGHT = {
    "1.1": ["lambda y: (y == y.mode()[0]).mean()", "lambda y: np.bincount(y).max() / y.size"],
    "1.2": ["lambda a, b: 1 - (1 - a) / (1 - b)", "lambda a, b: np.float32((a - b) / (1 - b))"],
    "1.3": [
        "lambda h, x: next((e + 1 for e, a in zip(h.epoch, h.accuracy) if a >= x), None)",
        "lambda h, x: (lambda g: g['epoch'].iloc[0] + 1 if len(g) else None)(h.query('accuracy >= @x'))",
    ],
    "2.1": [
        "lambda hu, c, w: np.interp(hu, [c - w / 2, c + w / 2], [0, 1])",
        "lambda hu, c, w: [min(max((x - c) / w + 0.5, 0), 1) for x in hu]",
    ],
    "2.2": [
        "lambda p, t: (pd.Series(t).groupby(p).nunique() > 1).sum()",
        "lambda p, t: len(np.intersect1d(p[t], p[~t]))",
    ],
    "2.3": [
        "lambda p, s, seed: pd.Series(p).isin(np.random.default_rng(seed).permutation(np.unique(p))[: int(s * 20)])",
        "lambda p, s, seed: np.isin(p, np.random.default_rng(seed).choice(np.unique(p), 6, replace=False))",
    ],
    "2.4": [
        "lambda a, b, s: sorted({y for x, y in [*zip(a, b), *zip(b, a)] if s[x] == 'train' and s[y] == 'test'})",
        "lambda a, b, s: np.flatnonzero([s[i] == 'test' and any(s[b[a == i]] == 'train') | any(s[a[b == i]] == 'train')"
        " for i in range(len(s))])",
    ],
    "3.1": ["lambda n: -np.log(1 / (2 * n - 1))", "lambda n: torch.log(torch.tensor(2.0 * n - 1))"],
    "3.2": [
        "lambda s, k, t: torch.nn.functional.cross_entropy(torch.tensor(s / t)[None], torch.tensor([k]))",
        "lambda s, k, t: -np.log(np.exp(s[k] / t) / np.exp(s / t).sum())",
    ],
    "3.3": [
        "lambda x, n: 1 - (x - nt_xent_range(n)[1]) / (nt_xent_range(n)[0] - nt_xent_range(n)[1])",
        "lambda x, n: np.interp(-x, -np.array(nt_xent_range(n)), [0, 1])",
    ],
    "4.1": [
        "lambda m: np.average([w.requires_grad for w in m.parameters()], weights=[w.numel() for w in m.parameters()])",
        "lambda m: 1 - sum(w.numel() for w in m.parameters() if not w.requires_grad)"
        " / sum(w.numel() for w in m.parameters())",
    ],
    "4.2": [
        "lambda a, b: [(x - a.mean(0)) / a.std(0) for x in (a, b)]",
        "lambda a, b: (lambda s: (s.transform(a), s.transform(b)))(StandardScaler().fit(a))",
    ],
    "4.3": [
        "lambda m: (m.train(), m.encoder.eval().requires_grad_(False), m)[2]",
        "lambda m: (m.train(), m.encoder.train(False), [setattr(w, 'requires_grad', False)"
        " for w in m.encoder.parameters()], m)[3]",
    ],
    "5.1": [
        "lambda y, n, s: np.sort(pd.Series(y).groupby(y).sample(n, random_state=s).index)",
        "lambda y, n, s: [i for k in set(y) for i in np.random.default_rng(s).permutation(np.flatnonzero(y == k))[:n]]",
    ],
    "5.2": [
        "lambda c, a, x: None if x > a[-1] else 10 ** np.interp(x, a, np.log10(c))",
        "lambda c, a, x: None if x > a[-1] else (lambda i: c[i - 1] * (c[i] / c[i - 1])"
        " ** ((x - a[i - 1]) / (a[i] - a[i - 1])))(np.searchsorted(a, x))",
    ],
    "5.3": ["lambda p, n: (p - p**2) ** 0.5 / n**0.5", "lambda p, n: stats.binom.std(n, p) / n"],
    "6.1": [
        "lambda a, b: np.hypot(stats.sem(a), stats.sem(b))",
        "lambda a, b: (np.var(a, ddof=1) / a.size + np.var(b, ddof=1) / b.size) ** 0.5",
    ],
    "6.2": [
        "lambda a, b: stats.permutation_test((a, b), lambda x, y: np.mean(x) - np.mean(y), n_resamples=np.inf).pvalue",
        "lambda a, b: np.mean([abs(2 * sum(t) - sum([*a, *b])) >= abs(sum(a) - sum(b)) - 1e-9"
        " for t in itertools.combinations([*a, *b], len(a))])",
    ],
    "6.3": [
        "lambda p: np.minimum(1, [max(sum(p >= y) * y for y in p[p <= x]) for x in p])",
        "lambda p: list(np.minimum(1, np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1))"
        "[np.argsort(np.argsort(p))]))",
    ],
    "6.4": [
        "lambda d, s, w: next(n for n in range(2, 999) if power.power(d, (s, s), (n, n)) >= w)",
        "lambda d, s, w: 2.0 + sum(power.power(d, (s, s), (n, n)) < w for n in range(2, 60))",
    ],
    "7.1": [
        "lambda x, y: (lambda k, m: (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))"
        "(*(z @ z.T for z in (x - x.mean(0), y - y.mean(0))))",
        "lambda x, y: (lambda x, y: ((x.T @ y) ** 2).sum() / np.sqrt(((x.T @ x) ** 2).sum() * ((y.T @ y) ** 2).sum()))"
        "(x - np.mean(x, 0), y - np.mean(y, 0))",
    ],
    "7.2": [
        "lambda x, y, m, s: m(x, np.random.default_rng(s).permutation(y))",
        "lambda x, y, m, s: (lambda z: (np.random.default_rng(s).shuffle(z), m(x, z))[1])(y.copy())",
    ],
    "7.3": [
        "lambda a, b: np.sqrt(((b - a) ** 2).sum() / (a**2).sum())",
        "lambda a, b: np.linalg.norm((b - a) / np.linalg.norm(a))",
    ],
    "8.1": [
        "lambda a, g: np.clip(np.einsum('c,chw->hw', g.mean((1, 2)), a), 0, None)",
        "lambda a, g: torch.relu((torch.tensor(g).mean((1, 2), keepdim=True) * torch.tensor(a)).sum(0))",
        "lambda a, g: np.maximum(0, (g.mean((1, 2), keepdims=True) * a).mean(0))",  # as some packages do
    ],
    "8.2": ["lambda h, m: (h * m).sum() / h.sum()", "lambda h, m: np.average(m, weights=h)"],
    "8.3": ["lambda h, m: h[m].mean() / h.mean()", "lambda h, m: (h * m).sum() * m.size / (h.sum() * m.sum())"],
    "9.1": [
        "lambda g, y: sum(y[g == k].value_counts().iloc[0] for k in g.unique()) / len(y)",
        "lambda g, y: (y == y.groupby(g).transform(lambda v: v.mode()[0])).mean()",
    ],
    "9.2": ["lambda c, k: stats.entropy(c, base=k)", "lambda c, k: stats.entropy(c) / np.log(k)"],
    "9.3": [
        "lambda t, a, b: t.query('entropy <= @a and size >= @b').sort_index().index",
        "lambda t, a, b: sorted(set(t.index) - set(t.index[(t['entropy'] > a) | (t['size'] < b)]))",
    ],
    "10.1": [
        "lambda a, b: [(a - b) / 0.01, (a - b) / b * 100]",
        "lambda a, b: np.array([a - b, a / b - 1]) * 100",
    ],
    "10.2": [
        "lambda n, k: np.clip(2 * k * math.factorial(n) ** 2 / math.factorial(2 * n), 0, 1)",
        "lambda n, k: min(1, k * stats.mannwhitneyu(range(n), range(n, 2 * n), method='exact').pvalue)",
    ],
    "10.3": [
        "lambda v, t: f'{v:.{len(t.partition(chr(46))[2])}f}' == t",
        "lambda v, t: round(v, len(t.partition('.')[2])) == float(t)",
    ],
}
