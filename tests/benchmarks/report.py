"""The records of a run as a markdown table, one row per model and method, and a summary."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from tests.benchmarks.cases import CAPTUM, FLOOR, INTERPRETO, INTERPRETO_64, LIBRARIES, METHODS, MODELS, OURS

Record = dict[str, object]

SPEED_UP_REACH = 2.0
FLOOR_REACH = {False: 1.25, True: 1.5}


def by_row(records: Iterable[Record]) -> dict[tuple[str, str], dict[str, Record]]:
    """Records by (model, method), then by library, in the order of the benchmark."""
    rows: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        rows.setdefault((str(record["model"]), str(record["method"])), {})[str(record["library"])] = record
    order = [(model, method) for model in MODELS for method in METHODS]
    return {key: rows[key] for key in order if key in rows}


def seconds(record: Record | None) -> float | None:
    """Median CPU seconds, None when the case was not run or failed."""
    value = None if record is None else record.get("cpu_s")
    return float(value) if isinstance(value, (int, float)) else None


def ratio(above: Record | None, below: Record | None) -> float | None:
    """CPU seconds of `above` over those of `below`, None when either is missing."""
    numerator, denominator = seconds(above), seconds(below)
    return None if numerator is None or not denominator else numerator / denominator


def table(records: Sequence[Record]) -> str:
    """Markdown: CPU seconds for all the sentences, ratios, passes and memory."""
    libraries = [name for name in LIBRARIES if any(record["library"] == name for record in records)]
    peers = [name for name in (INTERPRETO, INTERPRETO_64, CAPTUM) if name in libraries]
    heads = ["model", "method", *[f"{name} (s)" for name in libraries]]
    heads += [f"{OURS}/{FLOOR}", *[f"speed-up vs {name}" for name in peers]]
    heads += [f"sequences {'/'.join(libraries)}", f"peak MiB {'/'.join(libraries)}"]
    lines = [" | ".join(heads), " | ".join(["---", "---", *["---:"] * (len(heads) - 2)])]
    for (model, method), row in by_row(records).items():
        ours, floor = row.get(OURS), row.get(FLOOR)
        cells = [model, method, *[number(seconds(row.get(name)), ".3f") for name in libraries]]
        cells += [number(ratio(ours, floor), ".2f"), *[number(ratio(row.get(p), ours), ".2f") for p in peers]]
        cells += ["/".join(_field(row.get(name), key) for name in libraries) for key in ("sequences", "peak_mib")]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def summary(records: Sequence[Record]) -> str:
    """Median and worst speed-up, distance from the floor, and what failed."""
    rows = by_row(records)
    lines = [line for peer in (INTERPRETO, INTERPRETO_64, CAPTUM) for line in _speed_up_lines(rows, peer)]
    lines += _floor_lines(rows)
    lines += _headroom_lines(rows)
    failures = [record for record in records if record.get("error")]
    lines += [f"- not run: {r['library']}, {r['model']}, {r['method']}: {r['error']}" for r in failures]
    return "\n".join(lines)


def _speed_up_lines(rows: dict[tuple[str, str], dict[str, Record]], peer: str) -> list[str]:
    found = _ratios(rows, lambda row: ratio(row.get(peer), row.get(OURS)))
    if not found:
        return []
    worst = min(found, key=lambda key: found[key])
    slower = sum(value < 1 for value in found.values())
    reach = f" (reach: {SPEED_UP_REACH:g}x, none slower)" if peer == INTERPRETO else ""
    return [
        f"- speed-up vs {peer}{reach}: median {statistics.median(found.values()):.2f}x over {len(found)} rows, "
        f"worst {found[worst]:.2f}x ({', '.join(worst)}), slower in {slower}"
    ]


def _floor_lines(rows: dict[tuple[str, str], dict[str, Record]]) -> list[str]:
    found = _ratios(rows, lambda row: ratio(row.get(OURS), row.get(FLOOR)))
    lines = []
    for gradient, reach in FLOOR_REACH.items():
        part = {key: value for key, value in found.items() if METHODS[key[1]].gradient == gradient}
        if not part:
            continue
        kind = "gradient" if gradient else "perturbation"
        beyond = [f"{model} {method} {value:.2f}x" for (model, method), value in part.items() if value > reach]
        lines.append(
            f"- {OURS}/{FLOOR}, {kind} methods (reach: {reach:g}x): median {statistics.median(part.values()):.2f}x, "
            f"worst {max(part.values()):.2f}x, beyond the reach: {', '.join(beyond) or 'none'}"
        )
    return lines


def _headroom_lines(rows: dict[tuple[str, str], dict[str, Record]]) -> list[str]:
    """How far the peer is above the floor: a speed-up beyond it would need fewer passes, not faster ones."""
    found = _ratios(rows, lambda row: ratio(row.get(INTERPRETO), row.get(FLOOR)))
    if not found:
        return []
    below = [f"{model} {method} {value:.2f}x" for (model, method), value in found.items() if value < SPEED_UP_REACH]
    return [
        f"- {INTERPRETO}/{FLOOR}, the most that equal passes allow: median {statistics.median(found.values()):.2f}x; "
        f"under {SPEED_UP_REACH:g}x: {', '.join(below) or 'none'}"
    ]


def _ratios(
    rows: dict[tuple[str, str], dict[str, Record]], value: Callable[[dict[str, Record]], float | None]
) -> dict[tuple[str, str], float]:
    values = {key: value(row) for key, row in rows.items()}
    return {key: number for key, number in values.items() if number is not None}


def memory_table(records: Sequence[Record]) -> str:
    """Markdown: resident memory before and at the peak of each memory case."""
    heads = ["library", "model", "method", "settings", "input", "before (MiB)", "peak (MiB)", "growth (MiB)", "CPU s"]
    lines = [" | ".join(heads), " | ".join([*["---"] * 5, *["---:"] * 4])]
    for record in records:
        settings = ", ".join(f"{key}={value}" for key, value in dict(record["settings"]).items())  # type: ignore[call-overload]
        text = "about 2,000 tokens" if record["long"] else f"{record['n_sentences']} sentence"
        base, peak = record.get("base_mib"), record.get("peak_mib")
        growth = None if peak is None else float(peak) - float(base)  # type: ignore[arg-type]
        cells = [str(record[key]) for key in ("library", "model", "method")] + [settings, text]
        cells += [_field(record, "base_mib"), _field(record, "peak_mib"), number(growth, ".0f")]
        lines.append(" | ".join([*cells, number(seconds(record), ".2f")]))
    failures = [f"- failed: {r['library']}, {r['method']}: {r['error']}" for r in records if r.get("error")]
    return "\n".join([*[f"| {line} |" for line in lines], *failures])


def number(value: object, form: str) -> str:
    """A number in the given format, a dash when there is none."""
    return format(value, form) if isinstance(value, (int, float)) else "-"


def _field(record: Record | None, key: str) -> str:
    return number(None if record is None else record.get(key), ".0f")
