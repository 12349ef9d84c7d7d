"""Includes go downwards only: a module includes itself and what stands above it in the list, and no third-party header
leaves the one module that wraps it."""
import re

from tree import CPP, files, text

ORDER = ["base", "sys", "uv", "http", "config", "ipc", "keeper", "supervisor", "proxy", "control", "cli", "main"]
# Narrower than the order: the keeper stays small, and the two halves talk through ipc/ alone.
ONLY = {"keeper": {"base", "sys", "ipc", "keeper"}}
NEVER = {"supervisor": {"proxy"}, "proxy": {"supervisor"}}
# Third-party headers and the folders that may include them.
WRAPPED = {
    r"uv\.h|uv/.*": ("src/uv",),
    r"yaml-cpp/.*": ("src/config",),
    r"llhttp\.h": ("src/http", "tests/fuzz"),
    r"CLI/.*": ("src/cli",),
    r"nlohmann/.*": ("src/control", "src/cli", "tests"),
    r"catch2/.*": ("tests",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def module_of(relative):
    parts = relative.parts
    if parts == ("src", "main.cpp"):
        return "main"
    if parts[0] == "src":
        return parts[1]
    if parts[:2] == ("include", "rota"):
        return parts[2]
    return None


def linked_modules(root):
    """What each module declares in CMakeLists.txt, closed transitively; empty when there is no such file."""
    cmake = root / "CMakeLists.txt"
    if not cmake.exists():
        return {}
    direct = {}
    for name, rest in re.findall(r"^rota_module\((\w+)([^)]*)\)", cmake.read_text(), re.M):
        direct[name] = set(re.findall(r"rota::(\w+)", rest))
    closed = {}
    def close(name):
        if name not in closed:
            closed[name] = {name}
            for other in direct.get(name, ()):
                closed[name] |= close(other)
        return closed[name]
    for name in direct:
        close(name)
    return closed


def problems(root):
    found = []
    linked = linked_modules(root)
    for path in files(root, CPP, ("include", "src", "tests")):
        relative = path.relative_to(root)
        module = module_of(relative)
        if module is not None and module not in ORDER:
            found.append(f"{relative}: '{module}' is not a module of the list")
            continue
        for _, name in INCLUDE.findall(text(path) or ""):
            for pattern, folders in WRAPPED.items():
                if re.fullmatch(pattern, name) and not str(relative).startswith(tuple(f + "/" for f in folders)):
                    found.append(f"{relative}: <{name}> belongs into {' and '.join(folders)} only")
            match = re.match(r"rota/(\w+)/", name)
            if module is None or not match:
                continue
            other = match[1]
            if other not in ORDER:
                found.append(f"{relative}: includes the unknown module '{other}'")
            elif ORDER.index(other) > ORDER.index(module):
                found.append(f"{relative}: {module} includes {other}, which stands below it in the list")
            elif other in NEVER.get(module, ()) or other not in ONLY.get(module, ORDER):
                found.append(f"{relative}: {module} must never include {other}")
            elif module in linked and other not in linked[module]:
                found.append(f"{relative}: {module} includes {other} without linking it in CMakeLists.txt")
    return found
