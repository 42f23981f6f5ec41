"""Reads YAML that may be hostile: no code, no growth by references, every failure one line.

PyYAML's safe loader makes no objects of ours, but a file of a kilobyte can describe a billion
values, by lists that refer to lists, and a wrong value with an explicit type (`!!int ''`) raises
whatever the conversion does.
"""

from __future__ import annotations

from typing import Any

import yaml

from preprocess.core.untrusted import clipped, shown

MAX_YAML_BYTES = 256 << 10
"""PyYAML reads about this much in two seconds."""
MAX_YAML_VALUES = 100_000
MAX_YAML_DEPTH = 100


class YamlError(ValueError):
    """The text is not valid YAML, or more than `MAX_YAML_VALUES` values; the message is one line."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys instead of using the last, and depth early."""

    def fetch_flow_collection_start(self, token_class: Any) -> None:
        # Each token costs the scanner as many steps as brackets are open.
        if self.flow_level >= MAX_YAML_DEPTH:
            raise YamlError("it is nested too deeply")
        super().fetch_flow_collection_start(token_class)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"  # `<<: *other` may appear more than once
        keys = [self.construct_object(k, deep=True) for k, _ in node.value if k.tag != merge]
        seen = set()
        for key in keys:
            try:
                twice = key in seen
                seen.add(key)
            except TypeError:  # a list; the safe loader refuses it below
                continue
            if twice:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(key)} appears twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def load_yaml(text: str, most: int = MAX_YAML_BYTES) -> Any:
    """Return the value of a YAML document; a key that appears twice is an error.

    Args:
        text: The document.
        most: The most characters that it may have.

    Raises:
        YamlError: It is not valid YAML, or too large.
    """
    if len(text) > most:
        raise YamlError(f"it is larger than {most >> 10} KiB")
    loader = None
    try:
        loader = _UniqueKeyLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_YAML_VALUES:
            raise YamlError(f"its references make it more than {MAX_YAML_VALUES:,} values")
        return loader.construct_document(node)
    except YamlError:
        raise
    except RecursionError:
        raise YamlError("it is nested too deeply") from None
    except (
        Exception
    ) as error:  # from a conversion: IndexError of `!!int ''`, KeyError of `!!bool x`
        text = str(error) if isinstance(error, yaml.YAMLError | ValueError) else ""
        raise YamlError(clipped(text or "a value does not match its type")) from None
    finally:
        if loader is not None:
            loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, references followed.

    Args:
        node: The node.
        known: Its result for other nodes, 0 while it is computed.

    Raises:
        YamlError: A node contains itself, or a text with a null character.
    """
    found = known.get(id(node))
    if found == 0:
        raise YamlError("a value contains itself")
    if found is not None:
        return found
    known[id(node)] = 0
    inner: list[yaml.Node] = []
    if isinstance(node, yaml.ScalarNode):
        if "\0" in node.value:
            raise YamlError("a text has a null character")
    elif isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = node.value
    known[id(node)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(node)]
