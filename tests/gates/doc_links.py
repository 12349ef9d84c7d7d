"""Links between the documents lead somewhere: relative targets exist, and so do the headings behind a '#'."""
import re

from tree import files, text

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(content):
    """Heading anchors as the usual renderers form them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+?)\s*$", content, re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        found.add(slug)
    return found


def without_code(content):
    return re.sub(r"^```.*?^```", "", content, flags=re.M | re.S)


def problems(root):
    found = []
    for path in files(root, {".md"}):
        relative = path.relative_to(root)
        content = without_code(text(path) or "")
        for target in LINK.findall(content):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            other = (path.parent / name).resolve() if name else path
            if not other.exists():
                found.append(f"{relative}: link to {target}, which is not there")
            elif anchor and other.suffix == ".md" and anchor not in anchors(without_code(text(other) or "")):
                found.append(f"{relative}: {target}: no such heading")
    return found
