"""A git repository, through its plumbing: objects and a branch are made, while no file, index or HEAD is touched."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from evolve.config import ConfigError

FILE_MODE = "100644"
LINK = "120000"
KINDS = {"040000": "a folder", "160000": "a submodule", LINK: "a symbolic link"}  # by mode; all else is a file


@dataclass(frozen=True)
class Repository:
    """The one around `folder`. Every method raises `ConfigError` with what git says."""

    folder: Path

    def head(self) -> str | None:
        """The commit that is checked out; None in a repository without one."""
        self._git("rev-parse", "--git-dir")
        return self._git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fails=True) or None

    def check_new(self, branch: str) -> None:
        """That there can be a new branch of this name."""
        if not branch or self._git("check-ref-format", "--branch", branch, fails=True) != branch:
            raise ConfigError(f"{branch!r} is no name for a branch: see git help check-ref-format")
        if self._is_branch(branch):
            raise ConfigError(f"there is a branch {branch} already: choose another name, or git branch -D {branch}")
        above = [str(name) for name in PurePosixPath(branch).parents[:-1] if self._is_branch(str(name))]
        below = self._git("for-each-ref", "--count=1", "--format=%(refname:lstrip=2)", f"refs/heads/{branch}/")
        if in_the_way := above or below.splitlines():
            raise ConfigError(f"there is a branch {in_the_way[0]}, so git can have no {branch}: choose another name")

    def _is_branch(self, name: str) -> bool:
        return bool(self._git("rev-parse", "--verify", "--quiet", f"refs/heads/{name}", fails=True))

    def prefix(self) -> str:
        """The folder from the top of the repository, with a slash at its end; "" for the top."""
        return self._git("rev-parse", "--show-prefix")

    def within(self, file: Path) -> str | None:
        """The path of a file from the top of the repository; None if it is not in it, or there is none."""
        top = self._git("rev-parse", "--show-toplevel", fails=True)
        file = file.parent.resolve() / file.name
        if not top or not file.is_relative_to(Path(top).resolve()):
            return None
        return file.relative_to(Path(top).resolve()).as_posix()

    def tracks(self, path: str) -> bool:
        """Whether there is a file at `path`, from the top, in the commit that is checked out."""
        entry = self._entry(self.head(), path)
        return entry is not None and entry[1] == "blob"

    def blob(self, text: str) -> str:
        """Store a text; returns its id."""
        return self._git("hash-object", "-w", "--stdin", text=text)

    def file(self, commit: str | None, path: str) -> tuple[str, str] | None:
        """Mode and id of the file at `path`, from the top of the repository, in a commit; None if there is none.

        Raises `ConfigError` where there can be none: a folder, a submodule or a symbolic link is there, or something
        other than a folder above it.
        """
        for above in PurePosixPath(path).parents[:-1]:
            entry = self._entry(commit, str(above))
            if entry and entry[1] != "tree":
                raise ConfigError(f"{path} cannot be in {self.folder}: {above} is {_kind(entry)}. Choose --path.")
        entry = self._entry(commit, path)
        if entry and entry[0] in KINDS:
            raise ConfigError(f"{path} is {_kind(entry)} in {self.folder}: choose --path")
        return (entry[0], entry[2]) if entry else None

    def _entry(self, commit: str | None, path: str) -> list[str] | None:
        """Mode, kind and id of what has a path in a commit."""
        said = self._git("ls-tree", "--full-tree", commit, "--", path) if commit else ""
        return said.split(None, 3)[:3] or None

    def tree(self, commit: str | None, path: str, blob: str, mode: str = FILE_MODE) -> str:
        """The tree of a commit (None: an empty one) with one file replaced or added, made in an index of its own."""
        with TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._git("read-tree", commit or "--empty", more=index)
            self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", more=index)
            return self._git("write-tree", more=index)

    def commit(self, tree: str, parents: Sequence[str], message: str, at: int) -> str:
        """A commit by whoever git takes the user for, dated `at` (seconds since 1970); returns its id."""
        dates = {"GIT_AUTHOR_DATE": f"@{at} +0000", "GIT_COMMITTER_DATE": f"@{at} +0000"}
        named = [word for parent in parents for word in ("-p", parent)]
        return self._git("commit-tree", tree, *named, text=message, more=dates)

    def create(self, branch: str, commit: str) -> None:
        """Make a branch, which must not be there yet."""
        self._git("update-ref", "-m", "evolve: export", f"refs/heads/{branch}", commit, "")

    def _git(self, *words: str, text: str = "", more: Mapping[str, str] | None = None, fails: bool = False) -> str:
        """What git prints; "" if it fails and that is an answer."""
        environment = os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"} | dict(more or {})
        command = ["git", "-c", "i18n.commitEncoding=UTF-8", *words]
        try:
            done = subprocess.run(
                command, cwd=self.folder, env=environment, input=text.encode(), capture_output=True, check=False
            )
        except NotADirectoryError as error:
            raise ConfigError(f"{self.folder} is no folder") from error
        except FileNotFoundError as error:
            missing = "git is not installed" if self.folder.is_dir() else f"there is no folder {self.folder}"
            raise ConfigError(f"{missing}: a branch needs a git repository") from error
        if done.returncode == 0:
            return done.stdout.decode(errors="replace").strip()
        if fails:
            return ""
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise ConfigError(f"git {words[0]} in {self.folder}: {said or f'exit code {done.returncode}'}")


def _kind(entry: Sequence[str]) -> str:
    return KINDS.get(entry[0], "a file")


def path_within(path: str) -> str:
    """A path of a file from the top of a repository, as git writes it. Raises `ConfigError` if it is none."""
    normal = posixpath.normpath(path)
    parts = normal.split("/")
    outside = normal.startswith("/") or ".." in parts or ".git" in map(str.lower, parts)
    if not path or normal == "." or outside or not path.isprintable():
        raise ConfigError(f"{path!r} is no path of a script, from the top of the repository, such as train.py")
    return normal
