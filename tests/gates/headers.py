"""A header opens with a comment that says what the unit is for, and has #pragma once before its first line of code."""
from tree import files, text


def problems(root):
    found = []
    for path in files(root, {".h"}, ("include", "src", "tests", "examples")):
        relative = path.relative_to(root)
        lines = [line for line in (text(path) or "").splitlines() if line.strip()]
        if not lines or not lines[0].startswith("//"):
            found.append(f"{relative}: does not open with a comment")
        code = next((line for line in lines if not line.startswith("//")), "")
        if code.strip() != "#pragma once":
            found.append(f"{relative}: #pragma once is not its first line of code")
    return found
