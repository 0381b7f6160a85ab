"""Rows of numbers as a file that TensorBoard reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from .rundir import replace


def write_events(path: Path, rows: list[dict[str, Any]], begun: float) -> None:
    """One scalar for every number of every row, at the step row["epoch"]; begun: seconds since 1970. Raises InputError."""
    event, summary = tf.compat.v1.Event, tf.compat.v1.Summary
    events, time = [event(wall_time=begun, file_version="brain.Event:2")], begun
    for row in rows:
        time += row["seconds"]
        values = [summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "epoch"]
        events.append(event(wall_time=time, step=row["epoch"], summary=summary(value=values)))

    def save(temporary: Path) -> None:
        try:
            with tf.io.TFRecordWriter(str(temporary)) as file:
                for each in events:
                    file.write(each.SerializeToString())
        except tf.errors.OpError as error:
            raise OSError(error.message) from error

    replace(path, save)
