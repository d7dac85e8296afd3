"""A workload by Polars: `polars_peer.py WORK FOLDER OUT THREADS`."""

import os
import sys

work, folder, out, threads = sys.argv[1:5]
os.environ["POLARS_MAX_THREADS"] = threads

import polars as pl  # noqa: E402  (reads the number of threads when it is loaded)
from polars import col  # noqa: E402

DAY = 86_400_000_000
WINDOWS = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}

events = pl.scan_parquet(f"{folder}/events/*/*.parquet", hive_partitioning=False).select(
    "event_id", "user_id", at=col("event_timestamp"), arrival=col("ingested_at"), x=col("event_value")
)
labels = pl.scan_parquet(f"{folder}/labels.parquet").select("label_id", "user_id", t=col("label_ts"))


def day(of):
    return of.dt.epoch("us") // DAY


def everyone():
    """Running totals over all events, looked up at both ends of the window."""
    running = events.select("at", "x").sort("at").select(
        "at", n=pl.int_range(1, pl.len() + 1), known=col("x").is_not_null().cast(pl.Int64).cum_sum(),
        total=col("x").fill_null(0.0).cum_sum(),
    ).set_sorted("at")
    ends = labels.select("label_id", "t", start=col("t") - pl.duration(days=1)).sort("t")
    at_end = ends.join_asof(running, left_on="t", right_on="at", strategy="backward").drop("at").set_sorted("start")
    both = at_end.join_asof(running, left_on="start", right_on="at", strategy="backward", suffix="_before")
    gained = {c: col(c).fill_null(0) - col(f"{c}_before").fill_null(0) for c in ("n", "known", "total")}
    return both.select("label_id", events_24h=gained["n"], total_24h=pl.when(gained["known"] > 0).then(gained["total"]))


def latest():
    """An as-of join."""
    sorted_events = events.select("user_id", "at", "x").sort("at")
    joined = labels.sort("t").join_asof(
        sorted_events, left_on="t", right_on="at", by="user_id", strategy="backward", check_sortedness=False
    )
    return joined.select("label_id", latest_value="x")


def pairs(seen):
    """A window of a day touches two calendar days: hash join on user and day, then the exact bounds."""
    asked = labels.with_columns(day=pl.concat_list(day(col("t")), day(col("t")) - 1)).explode("day")
    joined = asked.join(events.with_columns(day=day(col("at"))), on=["user_id", "day"])
    return joined.filter((col("at") <= col("t")) & (col("at") > col("t") - pl.duration(days=1)) & seen)


def one_day(seen):
    """`seen` has a row for each event that counts for a label."""
    counted = seen.group_by("label_id").agg(
        events_24h=pl.len().cast(pl.Int64), known=col("x").count(), total=col("x").sum(), largest_24h=col("x").max()
    )
    return labels.select("label_id").join(counted, on="label_id", how="left").select(
        "label_id", col("events_24h").fill_null(0), pl.when(col("known") > 0).then("total").alias("total_24h"), "largest_24h"
    )


def arrived():
    """Copies of an event are only looked for among what a label sees; they have one payload, so any will do."""
    return one_day(pairs(col("arrival") <= col("t")).group_by("label_id", "event_id").agg(col("x").first()))


def windows():
    """Tiles: whole days summed up by user and day; the label's own day and the days in which windows start event by event."""
    e = events.select("user_id", "at", "x", day=day(col("at")))
    l = labels.with_columns(day=day(col("t")))
    tiles = e.group_by("user_id", "day").agg(
        n=pl.len().cast(pl.Int64), known=col("x").count().cast(pl.Int64), total=col("x").sum(),
        smallest=col("x").min(), largest=col("x").max(),
    )
    asked = l.select("label_id", label_user="user_id", last="day", first=col("day") - max(WINDOWS.values()))
    within = asked.join_where(
        tiles, col("label_user") == col("user_id"), col("day") < col("last"), col("day") > col("first")
    )
    merge = {"n": "sum", "known": "sum", "total": "sum", "smallest": "min", "largest": "max"}
    whole = within.group_by("label_id").agg(
        getattr(pl.when(col("day") > col("last") - days).then(col(c)), by)().alias(f"{c}_{w}")
        for w, days in WINDOWS.items() if days > 1 for c, by in merge.items()
    )
    backs = [0, *WINDOWS.values()]
    edges = l.with_columns(back=pl.lit(backs, dtype=pl.List(pl.Int64))).explode("back").with_columns(day=col("day") - col("back"))
    start = col("t") - pl.duration(days=col("back"))
    near = edges.join(e, on=["user_id", "day"]).filter(
        ((col("back") == 0) & (col("at") <= col("t"))) | ((col("back") > 0) & (col("at") > start))
    )

    def of_window(w, days):
        own = (col("back") == 0) | (col("back") == days)
        x = pl.when(own).then(col("x"))
        return {
            f"n_{w}": own.sum().cast(pl.Int64), f"known_{w}": x.count().cast(pl.Int64), f"total_{w}": x.sum(),
            f"smallest_{w}": x.min(), f"largest_{w}": x.max(),
        }

    partly = near.group_by("label_id").agg(**{k: v for w, days in WINDOWS.items() for k, v in of_window(w, days).items()})
    both = labels.select("label_id").join(partly, on="label_id", how="left").join(whole, on="label_id", how="left", suffix="_whole")
    out = [col("label_id")]
    for w, days in WINDOWS.items():
        parts = lambda c: [f"{c}_{w}"] + ([f"{c}_{w}_whole"] if days > 1 else [])  # noqa: E731
        added = lambda c: pl.sum_horizontal(parts(c))  # noqa: E731
        total = pl.when(added("known") > 0).then(added("total"))
        out += [
            added("n").fill_null(0).alias(f"events_{w}"), total.alias(f"total_{w}"), (total / added("known")).alias(f"mean_{w}"),
            pl.min_horizontal(parts("smallest")).alias(f"smallest_{w}"), pl.max_horizontal(parts("largest")).alias(f"largest_{w}"),
        ]
    return both.select(out)


WORKS = {"W0": everyone, "W1": latest, "W2": lambda: one_day(pairs(True)), "W3": windows, "W4": arrived}
WORKS[work]().collect().write_parquet(out)
