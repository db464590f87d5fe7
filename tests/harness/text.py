"""Shipped files with the addresses and paths of a test."""

import re


def replace_all(text, replacements):
    """Replaces the texts in one pass, because a new text, such as a free port, may contain another old one."""
    return re.sub("|".join(map(re.escape, replacements)), lambda match: replacements[match[0]], text)
