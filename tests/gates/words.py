"""Words that have no place in the tree: traces of how or where it was written, registry hosts, left-over markers, and
names that say nothing. The patterns are written so that this file does not match itself."""
import re

from tree import files, text

EVERYWHERE = [
    (r"/(wor[k]|far[m]|tmp/brie[f])/", "a path of one developer's machine"),
    (r"\b(ai|sub|helper|coding)[ -]?agen[t]s?\b", "the project speaks of itself alone"),
    (r"\b(claud[e]|anthropi[c]|chatgp[t]|copilo[t])", "the project speaks of itself alone"),
    (r"\b(registry\.npmj[s]\.org|registry\.yarnpk[g]\.com|pyp[i]\.org|files\.pythonhoste[d]\.org|crates\.i[o]|rubygem[s]\.org"
     r"|proxy\.golan[g]\.org|deb\.debia[n]\.org)", "a package registry's host: the machine's own settings decide that"),
    (r'"resolve[d]": *"http', "a lock file with a registry's address (see .npmrc)"),
    (r"\b(our|this|the|see|of|for) issue #?[0-9]+\b", "a number nobody outside can look up"),
]
IN_SOURCES = [
    (r"\b(TOD[O]|FIXM[E]|XX[X])\b", "a left-over marker"),
    (r"\b(class|struct|namespace) \w*(Manager|Helper|Util|Impl)s?\b", "a name that says nothing"),
    (r"\bdelete this\b", "nothing deletes itself: Loop::retire()"),
    (r"\busing namespace (?!std::(literals|\w+_literals|chrono)\b)", "no using namespace"),
]
# Legal texts and recorded input are not ours to word.
EXEMPT = re.compile(r"^(LICENSE$|tests/corpus/|tests/fuzz/corpus/)")


def problems(root):
    found = []
    for path in files(root):
        relative = str(path.relative_to(root))
        content = None if EXEMPT.match(relative) else text(path)
        if content is None:
            continue
        rules = EVERYWHERE + (IN_SOURCES if relative.startswith(("src/", "include/")) else [])
        for number, line in enumerate(content.splitlines(), 1):
            for pattern, reason in rules:
                flags = 0 if (pattern, reason) in IN_SOURCES else re.I
                match = re.search(pattern, line, flags)
                if match:
                    found.append(f"{relative}:{number}: {match[0]!r}: {reason}")
    return found
