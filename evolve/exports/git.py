"""A git repository, through its plumbing: objects and a branch are made, while no file, index or HEAD is touched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from evolve.config import ConfigError

FILE_MODE = "100644"


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
        if self._git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", fails=True):
            raise ConfigError(f"there is a branch {branch} already: choose another name, or git branch -D {branch}")

    def blob(self, text: str) -> str:
        """Store a text; returns its id."""
        return self._git("hash-object", "-w", "--stdin", text=text)

    def file(self, commit: str | None, path: str) -> tuple[str, str] | None:
        """Mode and id of the file at `path`, from the top of the repository, in a commit; None if there is none."""
        entry = self._git("ls-tree", "--full-tree", commit, "--", path).split(None, 3) if commit else []
        return (entry[0], entry[2]) if len(entry) == 4 and entry[1] == "blob" else None

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
