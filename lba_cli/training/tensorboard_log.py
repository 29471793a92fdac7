"""Write a run's metrics as TensorBoard event files, if the configuration asks for them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lba_cli.errors import MissingExtra


@contextmanager
def event_writer(folder: Path, wanted: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield a function that writes an epoch's record as TensorBoard scalars, or a function that does nothing if ``wanted`` is false.

    Raises:
        MissingExtra: TensorBoard isn't installed.
    """
    if not wanted:
        yield lambda record: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as problem:
        raise MissingExtra("tensorboard", "tensorboard") from problem
    with SummaryWriter(str(folder / "tensorboard")) as writer:

        def write(record: Mapping[str, Any]) -> None:
            figures = {k: v for k, v in record.get("evaluation", {}).items() if k != "cmc"}
            groups = {"loss": record["losses"], "diagnostics": record["diagnostics"], "evaluation": figures}
            for group, values in groups.items():
                for name, value in values.items():
                    writer.add_scalar(f"{group}/{name}", value, record["epoch"])
            writer.add_scalar("learning_rate", record["learning_rate"], record["epoch"])

        yield write
