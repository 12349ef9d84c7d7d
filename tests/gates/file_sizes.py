"""No source file passes LIMIT lines: beyond that one file has two responsibilities. The ten largest are always printed."""
from tree import files, text

LIMIT = 700
SUFFIXES = {".cpp", ".h", ".py", ".c", ".js", ".cmake", ""}
FOLDERS = ("include", "src", "tests", "examples", "scripts", "bench", "cmake")


def problems(root):
    sizes = sorted(((text(f) or "").count("\n"), str(f.relative_to(root))) for f in files(root, SUFFIXES, FOLDERS))
    for lines, name in sizes[:-11:-1]:
        print(f"{lines:6} {name}")
    return [f"{name}: {lines} lines, more than {LIMIT}" for lines, name in sizes if lines > LIMIT]
