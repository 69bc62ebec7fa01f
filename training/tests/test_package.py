"""The package's order: rooms, names, arrows between rooms, heads of rooms, and commands that the documents name."""

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

TRAINING = Path(__file__).parents[1]
REPOSITORY = TRAINING.parent
PACKAGE = TRAINING / "blockstitch_training"
#: Each room, and the rooms that it may import from.
ROOMS = {
    "journal": set(),
    "answering": {"journal"},
    "optimization": set(),
    "semanticseg": set(),
    "demo": {"optimization"},
    "segmenter": {"semanticseg"},
    "distill": {"demo", "optimization"},
    "evaluation": {"demo", "distill", "journal"},
}
LONGEST_FILE = 400  # lines
MODULES = {".".join(file.relative_to(TRAINING).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
#: Everything that may name a command: pages, model cards, and the package's own docstrings and configurations.
DOCUMENTS = sorted({
    REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("models/*/README.md"),
    *PACKAGE.rglob("*.py"), *TRAINING.glob("accelerate-configs/*.yaml"), TRAINING / "semanticseg" / "CARD.md",
})  # fmt: skip
# Module, subcommand, and what follows to the end of the command, over lines that end in a backslash.
COMMAND = re.compile(r"-m (blockstitch_training(?:\.\w+)*)(?:[ \t]+([a-z][a-z-]*)\b)?((?:\\\n|[^`\n])*)")


def imports_of(name: str) -> set[str]:
    """Modules of this package that a module imports anywhere, also inside functions."""
    found = set()
    parts = name.split(".")
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for each in (f"{source}.{alias.name}" for alias in node.names):
                target = each if each in MODULES else source if source in MODULES else f"{source}.__init__"
                if target in MODULES:
                    found.add(target)
    return found


def room_of(name: str) -> str:
    return name.split(".")[1]


def named_commands() -> dict[tuple[str, str], dict[str, str]]:
    """(module, subcommand) to the options that documents give it, each with a document that does; "" stands for none."""
    commands: dict[tuple[str, str], dict[str, str]] = {}
    for document in DOCUMENTS:
        for match in COMMAND.finditer(document.read_text()):
            given = re.findall(r"(?<!\S)--[a-z][a-z-]*", re.sub(r"[ \t]#.*", "", match[3]))
            options = commands.setdefault((match[1], match[2] or ""), {})
            options |= dict.fromkeys(["", *given], document.relative_to(REPOSITORY).as_posix())
    return commands


def test_the_package_holds_its_rooms_and_nothing_loose():
    assert {each.name for each in PACKAGE.iterdir() if not each.name.startswith((".", "__pycache__"))} == {*ROOMS, "__init__.py"}


def test_tests_stand_in_the_rooms_of_what_they_test():
    tests = TRAINING / "tests"
    folders = {each.name for each in tests.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))}
    assert folders == set(ROOMS)
    assert {each.name for each in tests.glob("test_*.py")} == {"test_package.py"}


def test_no_two_files_have_the_same_name():
    names = Counter(file.name for file in [*PACKAGE.rglob("*.py"), *(TRAINING / "tests").rglob("test_*.py")])
    assert [name for name, count in names.items() if count > 1 and name not in ("__init__.py", "__main__.py")] == []


def test_every_room_begins_with_what_it_is_what_it_does_not_know_and_a_glossary():
    for room in ROOMS:
        said = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
        assert said and said.startswith("The room of "), room
        plain = " ".join(said.split())
        assert "It knows" in plain and "It does not know" in plain, room
        assert "\nGlossary: " in said, room


def test_every_file_begins_with_what_it_is_for_and_stays_short():
    for name, file in MODULES.items():
        assert ast.get_docstring(ast.parse(file.read_text())), name
        assert len(file.read_text().splitlines()) <= LONGEST_FILE, name


def test_rooms_import_from_the_rooms_below_them_only():
    for name in MODULES:
        for target in imports_of(name):
            if room_of(name) != room_of(target):
                assert room_of(target) in ROOMS[room_of(name)], f"{name} imports {target}"


def test_no_imports_go_in_a_circle():
    arrows = {name: imports_of(name) for name in MODULES}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in sorted(arrows[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in sorted(arrows):
        walk(name, ())


def test_the_documents_name_commands():
    named = named_commands()
    assert {("blockstitch_training.distill", "train"), ("blockstitch_training.segmenter", "train"), ("blockstitch_training.evaluation", "blocks")} <= set(named)


@pytest.mark.parametrize(("module", "command"), sorted(named_commands()))
def test_every_command_that_a_document_names_exists_and_explains_itself(module, command, capsys):
    named = named_commands()[module, command]
    assert f"{module}.__main__" in MODULES, f"{named['']} names {module}, which has no commands"
    main = importlib.import_module(f"{module}.__main__").main
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"] if command else ["--help"])
    said = capsys.readouterr()
    assert ended.value.code == 0, f"{named['']} names {module} {command}: {said.err}"
    assert f"usage: python -m {module} {command}".rstrip() in said.out
    for option, document in named.items():
        assert option in said.out, f"{document} gives {option} to {module} {command}"


@pytest.mark.parametrize("file", sorted(PACKAGE.glob("*/__main__.py")), ids=lambda file: file.parent.name)
def test_a_room_lists_its_commands_without_loading_pytorch(file):
    code = f"""
import sys
from blockstitch_training.{file.parent.name}.__main__ import main
try:
    main(["--help"])
except SystemExit as ended:
    assert ended.code == 0
assert "torch" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=TRAINING, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "COMMAND" in ran.stdout
