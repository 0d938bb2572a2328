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
