"""The table of config keys in docs/methods.md, made from the schema."""

from lba_cli.config import Config
from lba_cli.datasets import DATASETS
from lba_cli.methods import METHODS


def rows():
    """A Markdown line for every config key: its name, its default and its meaning."""
    for section, field in Config.model_fields.items():
        for key, info in type(field.default).model_fields.items():
            yield row(f"{section}.{key}", info.default, info.description)
        if section == "data":
            for spec in DATASETS.values():
                for key, info in spec.options.model_fields.items():
                    yield row(f"data.{key}", info.default, f"{spec.name}: {info.description}")
        if section == "loss":
            for name in dict.fromkeys(term.name for method in METHODS.values() for term in method.terms):
                shown = ", ".join(f"{weight:g} in {method}" for method, weight in weights_of(name).items())
                yield f"| `loss.{name}` | {shown} | weight of this loss term; 0 switches it off |"


def weights_of(name):
    """The default weights of a loss term by the methods that have it."""
    return {m.name: weight for m in METHODS.values() for term, weight in m.default_weights.items() if term.name == name}


def row(key, default, meaning):
    shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else default
    shown = list(shown) if isinstance(shown, tuple) else shown
    return f"| `{key}` | `{shown}` | {meaning or ''} |"


if __name__ == "__main__":
    print("\n".join(rows()))
