"""What a careful person would say of train, dev and test sets that can be read: leaks, contradictions, gaps."""

from __future__ import annotations

import pandas as pd

from biollm_widgets.dna.splits import Splits
from biollm_widgets.sequences import reverse_complement


class Finding(str):
    """A warning sentence; `kind`, `part` and `cases` say it to a script.

    Attributes
    ----------
    kind
        The sort of problem: "simulated", "leak" (a row of train in dev or test), "overlap" (a row of dev in test),
        "strand leak" and "strand overlap" (the same for reverse complements), "contradiction", "duplicate",
        "missing label" or "repair".
    part
        The part it was found in: "train", "dev", "test", or "all".
    cases
        How many sequences, or rows where the sentence says rows.
    """

    kind: str
    part: str
    cases: int

    def __new__(cls, text: str, kind: str, part: str, cases: int) -> Finding:
        finding = super().__new__(cls, text)
        finding.kind, finding.part, finding.cases = kind, part, cases
        return finding


def audit(splits: Splits) -> list[Finding]:
    """Warnings about data sets that a trainer will accept and a careful person would not.

    Returns
    -------
    list of Finding
        Sentences (each a `str`), the gravest first; empty when there is nothing to say. Counted are different
        sequences (or pairs), not rows, unless the sentence says rows.
    """
    keys = {name: _keys(frame) for name, frame in splits.items()}
    findings: list[Finding] = []
    if splits.simulated:
        text = "These sequences are SIMULATED: scores on them say nothing about an organism."
        findings.append(Finding(text, "simulated", "all", sum(len(key) for key in keys.values())))
    for part, other in (("test", "train"), ("dev", "train"), ("test", "dev")):
        findings += _leaks(keys, part, other)
    findings += _contradictions(splits, keys)
    for name, key in keys.items():
        repeated = int(key.duplicated().sum())
        if repeated:
            text = f"{repeated} of {len(key)} rows of {name}.csv repeat an earlier row's sequence."
            findings.append(Finding(text, "duplicate", name, repeated))
    findings += _unseen_labels(splits)
    findings += [Finding(note, "repair", note.split(".csv")[0], 1) for note in splits.notes]
    return findings


def _keys(frame: pd.DataFrame) -> pd.Series:
    """What makes two rows the same question: the sequence, or both sequences of a pair."""
    if "sequence2" in frame:
        return frame["sequence1"] + "|" + frame["sequence2"]
    return frame["sequence"]


def _leaks(keys: dict[str, pd.Series], part: str, other: str) -> list[Finding]:
    """Sequences of `part` that `other` holds too, as they are or as the reverse complement."""
    findings = []
    seen, known = set(keys[part]), set(keys[other])
    shared = seen & known
    kind = "leak" if other == "train" else "overlap"
    effect = "the score on them shows memory" if other == "train" else "the two are not independent"
    if shared:
        rows = int(keys[part].isin(shared).sum())
        text = (
            f"{len(shared)} {part} sequence{'s' * (len(shared) != 1)} ({rows} of {len(keys[part])} rows) "
            f"{'are' if len(shared) != 1 else 'is'} also in {other}.csv: {effect}."
        )
        findings.append(Finding(text, kind, part, len(shared)))
    turned = sum(1 for key in seen - shared if "|" not in key and reverse_complement(key) in known)
    if turned:
        text = (
            f"{turned} more {part} sequence{'s' * (turned != 1)} {'are' if turned != 1 else 'is'} in {other}.csv "
            "as the reverse complement, the other strand of the same DNA."
        )
        findings.append(Finding(text, f"strand {kind}", part, turned))
    return findings


def _contradictions(splits: Splits, keys: dict[str, pd.Series]) -> list[Finding]:
    """Sequences with several labels, within a part and between parts."""
    findings = []
    for name, frame in splits.items():
        several = frame["label"].groupby(keys[name].to_numpy()).nunique()
        count = int((several > 1).sum())
        if count:
            rows = int(keys[name].isin(several.index[several > 1]).sum())
            text = (
                f"{count} {name} sequence{'s' * (count != 1)} ({rows} rows) {'carry' if count != 1 else 'carries'} "
                "more than one label: no model can get all of these rows right."
            )
            findings.append(Finding(text, "contradiction", name, count))
    together = pd.concat([frame["label"] for _, frame in splits.items()]).groupby(pd.concat(keys).to_numpy()).nunique()
    inside = sum(finding.cases for finding in findings)
    across = int((together > 1).sum())
    if across > inside:
        text = f"{across} sequences carry more than one label when train, dev and test are taken together."
        findings.append(Finding(text, "contradiction", "all", across))
    return findings


def _unseen_labels(splits: Splits) -> list[Finding]:
    """Labels that dev or test never asks for."""
    findings = []
    known = set(splits.train["label"])
    for name in ("dev", "test"):
        missing = sorted(known - set(getattr(splits, name)["label"]))
        if missing:
            text = f"{name}.csv has no row of label {', '.join(map(str, missing))}: a score on it is blind to it."
            findings.append(Finding(text, "missing label", name, len(missing)))
    return findings
