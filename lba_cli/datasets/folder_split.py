"""The options of own images, and their split into training and test identities."""

import random
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from lba_cli.datasets.folder_pattern import EXAMPLE, PathPattern
from lba_cli.datasets.lists import read_lines, read_split, shortened
from lba_cli.datasets.own_images import People, has_both, nearest_name, one_modality_words
from lba_cli.datasets.spec import DatasetOptions
from lba_cli.errors import DataError, quoted
from lba_cli.vocabulary import Split


class FolderOptions(DatasetOptions):
    """Where a path names the identity, and the split into training and test identities.

    By default, a random half of the identities that have both modalities are the test split.
    """

    pattern: str | None = Field(
        None, description=f"how paths tell identity and modality, such as `{EXAMPLE}`; null: `visible/IDENTITY/…`"
    )
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of the random train/test split")
    test_share: float = Field(0.5, ge=0, le=1, description="share of the identities in the test split")
    train_ids: str | None = Field(
        None, min_length=1, description="file with the identities to train on, one per line, instead of a random split"
    )
    test_ids: str | None = Field(None, min_length=1, description="file with the identities to test with")

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            PathPattern(pattern)
        return pattern

    @model_validator(mode="after")
    def _both_lists_or_neither(self) -> Self:
        if (self.train_ids is None) != (self.test_ids is None):
            given, lacking = ("train", "test") if self.test_ids is None else ("test", "train")
            raise ValueError(f"data.{given}_ids is given without data.{lacking}_ids: give both lists, or neither")
        return self

    def locate_images(self) -> bool:
        """Whether there is a pattern."""
        return self.pattern is not None


def split_people(root: Path, people: People, options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    """The split of each identity, by the images themselves, by lists, or at random; and notes."""
    own = _own_splits(people)
    if own and options.train_ids is not None:
        raise DataError(f"{root}: the images have splits of their own: leave out data.train_ids and data.test_ids")
    if own:
        return own, _one_modality_notes(people, own)
    if options.train_ids is not None and options.test_ids is not None:
        return _split_by_lists(root, people, options.train_ids, options.test_ids)
    return _split_at_random(people, options)


def _own_splits(people: People) -> dict[str, Split]:
    """The splits that a CSV file or a pattern names; empty if they name none."""
    split_of: dict[str, Split] = {}
    for name, images in people.items():
        for image in images:
            if image.split and split_of.setdefault(name, image.split) != image.split:
                first = next(other for other in images if other.split == split_of[name])
                raise DataError(
                    f"{image.place}: identity {quoted(name)} is in the split {image.split} here, and in {first.split} in "
                    f"{first.place}"
                )
    return split_of


def _split_at_random(people: People, options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    """Draw the test split. Each split gets at least one identity, unless ``test_share`` is 0 or 1."""
    both = [name for name, images in people.items() if has_both(images)]
    count = int(len(both) * options.test_share + 0.5)
    if 0 < options.test_share < 1 and len(both) > 1:
        count = min(max(count, 1), len(both) - 1)
    tested = set(random.Random(options.split_seed).sample(both, count))
    split_of: dict[str, Split] = {name: "test" if name in tested else "train" for name in both}
    one_modality = [name for name in people if name not in split_of]
    if not one_modality:
        return split_of, []
    what = f"{len(one_modality)} identities have one modality only: {one_modality_words(people)}"
    if not tested:
        return split_of, [f"{what}; they are left out"]
    split_of |= dict.fromkeys(one_modality, "test")
    return split_of, [f"{what}; they are distractors in galleries"]


def _split_by_lists(root: Path, people: People, train: str, test: str) -> tuple[dict[str, Split], list[str]]:
    folder = root.parent if root.is_file() else root
    listed = read_split([(folder / train, "train"), (folder / test, "test")], _names)
    unknown = [
        f"{quoted(name)} ({place}{_nearest(name, people)})" for name, (_, place) in listed.items() if name not in people
    ]
    if unknown:
        raise DataError(f"{root}: the lists name {len(unknown)} identities that have no images: {shortened(unknown)}")
    split_of = {name: split for name, (split, _) in listed.items()}
    left_out = len(people) - len(listed)
    notes = [f"{left_out} identities are in neither list and are left out"] if left_out else []
    return split_of, notes + _one_modality_notes(people, split_of)


def _one_modality_notes(people: People, split_of: Iterable[str]) -> list[str]:
    chosen = {name: people[name] for name in split_of}
    alone = sum(not has_both(images) for images in chosen.values())
    return [f"{alone} identities of the split have one modality only: {one_modality_words(chosen)}"] if alone else []


def _nearest(name: str, people: People) -> str:
    known = nearest_name(name, people)
    return f"; there is {quoted(known)}" if known else ""


def _names(path: Path) -> Iterator[tuple[int, str]]:
    lines = read_lines(path, "data.train_ids and data.test_ids name lists of identities, one name per line")
    for number, line in enumerate(lines, start=1):
        if line:
            yield number, unicodedata.normalize("NFC", line)
