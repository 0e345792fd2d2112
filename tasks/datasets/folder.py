"""Images of your own."""

from __future__ import annotations

from pathlib import Path

from gifd_bench.tasks.datasets.labeled_files import FileDataset, read_class_folders
from gifd_bench.tasks.datasets.root import find_folder
from gifd_bench.tasks.errors import TaskError


class ImageFolder(FileDataset):
    """Images of your own: a folder that holds one folder for each class, named like the class.

    Args:
        root: that folder; by default, `folder` in the data folder that the environment variable
            GIFD_BENCH_DATA names.
        size: side of an image in pixels; images are cropped to their center squares and area-pooled.
    """

    def __init__(self, root: str | None = None, size: int = 64) -> None:
        if root is None:
            folder = find_folder("folder", None, ("folder",), "folder/<class>/<image>")
        else:
            folder = Path(root).expanduser()
        if not folder.is_dir():
            raise TaskError(
                f"folder: {folder} is no folder: the option root names one with <class>/<image>"
            )
        super().__init__("folder", read_class_folders("folder", folder), size)
