"""The options of a user's own images, and the split of their identities into training, validation and test identities."""

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
from lba_cli.vocabulary import Split, plural


class FolderOptions(DatasetOptions):
    """The config keys that apply only to a user's own images: how paths name the identity, and how identities are split.

    Unless the images come with splits of their own, by default a random half of the identities that have both modalities is used
    for testing, the other half for training, and none for validation.
    """

    pattern: str | None = Field(
        None, description=f"how paths tell identity and modality, such as `{EXAMPLE}`; null: `visible/IDENTITY/…`"
    )
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of the random train/test split")
    test_share: float = Field(0.5, ge=0, le=1, description="share of the identities in the test split")
    validation_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the identities that only choose best.pt, neither trained on nor tested with",
    )
    train_ids: str | None = Field(
        None, min_length=1, description="file with the identities to train on, one per line, instead of a random split"
    )
    test_ids: str | None = Field(None, min_length=1, description="file with the identities to test with")
    validation_ids: str | None = Field(
        None, min_length=1, description="file with the identities that only choose best.pt; needs the other two lists"
    )

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
        if self.validation_ids is not None and self.train_ids is None:
            raise ValueError(
                "data.validation_ids is given without data.train_ids and data.test_ids: give all three lists"
            )
        if self.validation_share and self.train_ids is not None:
            raise ValueError(
                "data.validation_share needs a random split, but lists are given: use data.validation_ids instead"
            )
        return self

    def locate_images(self) -> bool:
        """Return whether there is a pattern."""
        return self.pattern is not None


def split_people(root: Path, people: People, options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    """Return {identity: split}, and notes for the user.

    The splits are those of the images themselves, come from lists of identities, or are drawn at random.
    """
    own = _own_splits(people)
    if own and (options.train_ids is not None or options.validation_share):
        keys = "data.validation_share" if options.validation_share else "data.train_ids and data.test_ids"
        raise DataError(f"{root}: the images have splits of their own: leave out {keys}")
    if own:
        return own, _one_modality_notes(people, own)
    if options.train_ids is not None:
        return _split_by_lists(root, people, options)
    return _split_at_random(root, people, options)


def _own_splits(people: People) -> dict[str, Split]:
    """Return {identity: split} from the images' own splits. Raises DataError if an identity has images in two splits."""
    split_of: dict[str, Split] = {}
    for name, images in people.items():
        for image in images:
            if image.split and split_of.setdefault(name, image.split) != image.split:
                first = next(other for other in images if other.split == split_of[name])
                raise DataError(
                    f"{image.place}: identity {quoted(name)} is in the split {image.split} here, and in the split {first.split} "
                    f"in {first.place}"
                )
    return split_of


def _split_at_random(root: Path, people: People, options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    """Draw the test split, and then the validation split from the other people. Return {identity: split}, and notes.

    The validation share therefore doesn't change the test split. Each split gets at least one identity, unless its share is 0.
    """
    both = [name for name, images in people.items() if has_both(images)]
    count = int(len(both) * options.test_share + 0.5)
    if 0 < options.test_share < 1 and len(both) > 1:
        count = min(max(count, 1), len(both) - 1)
    generator = random.Random(options.split_seed)
    tested = set(generator.sample(both, count))
    split_of: dict[str, Split] = {name: "test" if name in tested else "train" for name in both}
    if options.validation_share:
        others = [name for name in both if name not in tested]
        count = max(1, int(len(both) * options.validation_share + 0.5))
        if count >= len(others):
            raise DataError(
                f"{root}: data.validation_share={options.validation_share:g} leaves nobody to train on: of {len(both)} "
                f"identities, {len(tested)} would be for testing and {count} for validation; lower the share"
            )
        split_of |= dict.fromkeys(generator.sample(others, count), "val")
    one_modality = [name for name in people if name not in split_of]
    if not one_modality:
        return split_of, []
    count = len(one_modality)
    words = one_modality_words(people)
    alone = plural(count, "identity has one modality only and is", "identities have one modality only and are")
    if not tested:
        return split_of, [f"{count} {alone} left out: {words}"]
    split_of |= dict.fromkeys(one_modality, "test")
    return split_of, [f"{count} {alone} {plural(count, 'a distractor', 'distractors')} in galleries: {words}"]


def _split_by_lists(root: Path, people: People, options: FolderOptions) -> tuple[dict[str, Split], list[str]]:
    folder = root.parent if root.is_file() else root
    files: list[tuple[str | None, Split]] = [
        (options.train_ids, "train"),
        (options.test_ids, "test"),
        (options.validation_ids, "val"),
    ]
    listed = read_split([(folder / name, split) for name, split in files if name], _names)
    unknown = [
        f"{quoted(name)} ({place}{_nearest(name, people)})" for name, (_, place) in listed.items() if name not in people
    ]
    if unknown:
        identities = plural(len(unknown), "identity", "identities")
        raise DataError(f"{root}: the lists name {len(unknown)} {identities} without images: {shortened(unknown)}")
    split_of = {name: split for name, (split, _) in listed.items()}
    left_out = len(people) - len(listed)
    words = plural(left_out, "identity is in no list and is", "identities are in no list and are")
    notes = [f"{left_out} {words} left out"] if left_out else []
    return split_of, notes + _one_modality_notes(people, split_of)


def _one_modality_notes(people: People, split_of: Iterable[str]) -> list[str]:
    chosen = {name: people[name] for name in split_of}
    alone = sum(not has_both(images) for images in chosen.values())
    words = plural(alone, "identity of the split has", "identities of the split have")
    return [f"{alone} {words} one modality only: {one_modality_words(chosen)}"] if alone else []


def _nearest(name: str, people: People) -> str:
    known = nearest_name(name, people)
    return f"; there is {quoted(known)}" if known else ""


def _names(path: Path) -> Iterator[tuple[int, str]]:
    lines = read_lines(
        path, "data.train_ids, data.test_ids and data.validation_ids name lists of identities, one name per line"
    )
    for number, line in enumerate(lines, start=1):
        if line:
            yield number, unicodedata.normalize("NFC", line)
