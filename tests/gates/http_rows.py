"""Each row of docs/HTTP.md has a test named after it, and no test is named after a row that is not there."""
import re

from tree import files, text

CATCH2 = re.compile(r'TEST_CASE\(\s*"rows? ([^:"]+):')
PYTHON = re.compile(r"def test_(rows?_\d\w*)\(")


def listed(words):
    """The numbers of "46 to 49, 51 and 58"."""
    numbers = set()
    for first, last in re.findall(r"(\d+)(?:\s*to\s*(\d+))?", words):
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def of_method(name):
    """The numbers of row_107_and_row_109_what_happens, or rows_133_to_139_what_happens."""
    return listed(" ".join(re.match(r"rows?_((?:\d+|_|to|and|rows?)*)", name)[1].replace("_", " ").split()))


def problems(root):
    document = root / "docs/HTTP.md"
    if not document.exists():
        return []
    rows = {int(number) for number in re.findall(r"^\| (\d+) \|", document.read_text(), re.M)}
    named = {}
    for file in files(root, {".cpp", ".py"}, ("tests",)):
        content = text(file) or ""
        found = [listed(w) for w in CATCH2.findall(content)] + [of_method(n) for n in PYTHON.findall(content)]
        for number in set().union(*found):
            named.setdefault(number, file)
    return [f"docs/HTTP.md: row {n} has no test named after it" for n in sorted(rows - set(named))] + [
        f"{named[n].relative_to(root)}: a test is named after row {n}, which docs/HTTP.md does not have" for n in sorted(set(named) - rows)]
