"""What no program may do, read from its text: a filter for accidents and lazy cheats.

It is not a boundary: Python offers too many ways round any reading of its text. What a program cannot be allowed to
do is prevented by the box it runs in and the judge that scores it; the guard only spares their time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from evolve.model import Rules
from operators.names import premature, undefined
from operators.syntax import nodes

CALLS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "globals", "input", "locals", "open", "vars"})
DOTTED = frozenset({
    "os.system", "os.popen", "os.fork", "os.kill", "os._exit", "sys.modules", "sys._getframe", "sys.settrace",
    "torch.load", "torch.jit.load", "torch.hub", "torch.from_file", "torch.utils.cpp_extension",
    "torch.ops.load_library", "torch.serialization", "torch.package", "torch.utils.data.datapipes",
    "torch.UntypedStorage.from_file", "torch.ops.aten.from_file",
    "numpy.load", "numpy.memmap", "numpy.fromfile", "np.load", "np.memmap", "np.fromfile",
})  # fmt: skip
INTERNALS = frozenset({
    "__builtins__", "__globals__", "__subclasses__", "__code__", "__closure__", "__loader__", "__spec__", "__reduce__",
    "f_back", "f_globals", "f_locals", "f_builtins", "gi_frame", "tb_frame",
})  # fmt: skip
MODULES = frozenset({  # reached as an attribute of a module that imports them, such as torch.os
    "builtins", "ctypes", "glob", "importlib", "inspect", "io", "linecache", "mmap", "os", "pathlib", "pickle",
    "shutil", "socket", "subprocess", "sys", "tempfile", "zipfile",
})  # fmt: skip
REPORTED = 3


def check(source: str, rules: Rules) -> str | None:
    """None for an admissible program, else up to three reasons, each with its line, the name and the cure.

    Empty `rules.imports` allow every import, as empty `protected` and `contract` ask for nothing.
    """
    reason = _text(source, rules.max_bytes) or _syntax(source)
    if reason:
        return reason
    every = nodes(source)
    found = [*_imports(every, rules), *_forbidden(every), *_rebound(every, rules), *_names(source)]
    reasons = [f"line {line}: {text}" for line, text in sorted(set(found))]
    reasons += _uncalled(every, rules)
    return "; ".join(reasons[:REPORTED]) or None


def _text(source: str, max_bytes: int) -> str | None:
    for character, name in (("\0", "NUL character"), ("\r", "carriage return"), ("\ufeff", "byte order mark")):
        if character in source:
            line = source[: source.index(character)].count("\n") + 1
            return f"line {line}: {name}; write plain UTF-8 text with line feeds only"
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        line = source[: error.start].count("\n") + 1
        return f"line {line}: {source[error.start]!a} is not valid UTF-8; remove it"
    if size > max_bytes:
        return f"the program has {size} bytes, {max_bytes} are allowed; make it shorter"
    return None


def _syntax(source: str) -> str | None:
    """`compile` finds what a parser does not, such as `return` outside a function."""
    try:
        compile(source, "<candidate>", "exec", dont_inherit=True)
    except SyntaxError as error:
        text = (error.text or "").strip()[:80]
        return f"line {error.lineno}: {error.msg}" + (f" in {text!r}" if text else "") + "; correct the syntax"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"the program does not compile ({type(error).__name__}: {error}); nest expressions less deeply"
    return None


Found = Iterator[tuple[int, str]]
Nodes = tuple[ast.AST, ...]


def _imports(every: Nodes, rules: Rules) -> Found:
    """Modules outside the list. An allowed module brings its submodules."""
    for node in every:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            if node.level:
                yield node.lineno, "relative import; a program is a single file"
                continue
            if any(alias.name == "*" for alias in node.names):
                yield node.lineno, f"'from {node.module} import *' hides what is bound; import by name"
        else:
            continue
        for module in modules:
            prefixes = {module[:end] for end, c in enumerate(f"{module}.") if c == "."}
            if rules.imports and not prefixes & {*rules.imports, "__future__"}:
                yield node.lineno, f"import of {module!r} is not allowed; use {', '.join(rules.imports)}"


def _forbidden(every: Nodes) -> Found:
    """Ways to run text, reach files or the interpreter's insides."""
    own = _own(every)
    modules = {a.asname or a.name.partition(".")[0] for n in every if isinstance(n, ast.Import) for a in n.names}
    for node in every:
        if isinstance(node, ast.Name) and node.id in CALLS | INTERNALS and node not in own:
            yield node.lineno, f"{node.id!r} is not allowed; write the code out, data comes from the imported module"
        elif isinstance(node, ast.Attribute) and node.attr in INTERNALS:
            yield node.lineno, f"access to {node.attr!r} is not allowed; use public attributes"
        elif isinstance(node, ast.Attribute) and ((name := _dotted(node)) in DOTTED or _is_module(name, modules)):
            yield node.lineno, f"{name!r} is not allowed; a program has no files, processes or other modules"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in INTERNALS:
            yield node.lineno, f"the name {node.value!r} is not allowed in a string; use public attributes"


def _is_module(name: str, imported: set[str]) -> bool:
    """Whether a dotted name ends in a module that a program may not import, reached through one that it may."""
    root, _, rest = name.partition(".")
    return root in imported and rest.rpartition(".")[2].lstrip("_") in MODULES


def _own(every: Nodes) -> set[ast.AST]:
    """Uses of names in functions that have a parameter of that name, such as `input`, and all that are no uses."""
    found: set[ast.AST] = {node for node in every if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in every:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            parameters = {parameter.arg for parameter in ast.walk(node.args) if isinstance(parameter, ast.arg)}
            for part in node.body if isinstance(node.body, list) else [node.body]:
                found.update(n for n in ast.walk(part) if isinstance(n, ast.Name) and n.id in parameters & CALLS)
    return found


def _rebound(every: Nodes, rules: Rules) -> Found:
    """Protected names given another value in any scope, and attributes of protected things.

    A parameter without a default may have such a name: it hands on what the caller has.
    """
    protected = set(rules.protected)
    owners = protected | _fixed_modules(every, protected)
    cure = "it belongs to the fixed part of the task, choose another name"
    for node in every:
        for name in set(_binds(node)) & protected:
            arguments = [*node.args, *node.kwonlyargs] if isinstance(node, ast.arguments) else []
            line = arguments[0].lineno if arguments else getattr(node, "lineno", 1)
            yield line, f"{name!r} may not be rebound; {cure}"
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            name = _dotted(node)
            if name.partition(".")[0] in owners:
                yield node.lineno, f"{name!r} may not be assigned; leave it as it is"
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("setattr", "delattr")
            and node.args
            and _dotted(node.args[0]).partition(".")[0] in owners
        ):
            yield node.lineno, f"{node.func.id} on {_dotted(node.args[0])!r} is not allowed; leave it as it is"


def _fixed_modules(every: Nodes, protected: set[str]) -> set[str]:
    """Local names of the modules from which protected names come."""
    homes = set(protected)
    local: dict[str, str] = {}
    for node in every:
        if isinstance(node, ast.ImportFrom) and any(alias.name in protected for alias in node.names):
            homes.add(node.module or "")
        elif isinstance(node, ast.Import):
            local.update({alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names})
    for node in every:
        if isinstance(node, ast.Attribute) and node.attr in protected and isinstance(node.value, ast.Name):
            homes.add(local.get(node.value.id, ""))
    return {name for name, module in local.items() if module in homes}


def _binds(node: ast.AST) -> Iterator[str]:
    """The names that this node itself gives a value."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            yield from names
        case ast.alias(name=name, asname=str(local)) if local != name:
            yield from (name, local)
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            yield from (a.arg for a in positional[len(positional) - len(node.defaults) :])
            yield from (a.arg for a, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value is not None)


def _names(source: str) -> Found:
    for name, line in undefined(source):
        yield line, f"{name!r} is not defined anywhere; define or import it"
    for name, line in premature(source):
        yield line, f"{name!r} is used before it is defined; move the definition up"


def _uncalled(every: Nodes, rules: Rules) -> list[str]:
    called = {_dotted(node.func).rpartition(".")[2] for node in every if isinstance(node, ast.Call)}
    return [f"{name!r} is never called; the task asks for it" for name in rules.contract if name not in called]


def _dotted(node: ast.AST) -> str:
    """`a.b.c` for such an expression; where the root is no name, it is left empty."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""
