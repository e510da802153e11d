"""The examples in Python of docs/clients.md, as modules."""

import contextlib
import pathlib
import re
import sys
import tempfile

PAGE = pathlib.Path(__file__).parents[2] / "docs/clients.md"


@contextlib.contextmanager
def on_path():
    """Writes each block of Python that has a name to a file of that name, from where it can be imported meanwhile."""
    with tempfile.TemporaryDirectory() as directory:
        blocks = re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        for name, text in blocks:
            pathlib.Path(directory, name).write_text(text, "utf-8")
        sys.path.insert(0, directory)
        try:
            yield
        finally:
            sys.path.remove(directory)
