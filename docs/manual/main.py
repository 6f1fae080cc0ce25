"""Writes the man pages, and the reference and the documents as Sphinx wants them. scripts/docs calls this.

    main.py FOLDER MAN         the documents into FOLDER/source, the man pages into MAN
    main.py FOLDER MAN --man   the man pages only

FOLDER/xml is what Doxygen has made of the public headers. The result is 1 if a function is missing, or if a
link leads nowhere.
"""

import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True

import man  # noqa: E402
import model  # noqa: E402
import reference  # noqa: E402
import site_of  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def version():
    with open(os.path.join(ROOT, "include/berth/version.h"), encoding="utf-8") as file:
        return re.search(r'BERTH_VERSION_STRING "(.*)"', file.read()).group(1)


def date():
    """The day of the headers' last change, which is the same for whoever makes the pages of them."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        try:
            seconds = subprocess.run(["git", "log", "-1", "--format=%ct", "--", "include/berth"], cwd=ROOT,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
        except OSError:
            pass
    if not seconds:
        folder = os.path.join(ROOT, "include/berth")
        seconds = max(os.path.getmtime(os.path.join(folder, name)) for name in os.listdir(folder))
    day = time.gmtime(int(seconds))
    return time.strftime("%B ", day) + "%d, %d" % (day.tm_mday, day.tm_year)


def exported():
    """The functions that the headers declare, counted without Doxygen."""
    found = []
    folder = os.path.join(ROOT, "include/berth")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
        found += re.findall(r"\bBERTH_(?:TLS_)?API\s[^(;]*?\b(berth_\w+)\(", text)
    return found


def check(pages, references, mans):
    """Every function, and every macro that is one, has one place in the reference and a man page."""
    functions = exported()
    functions += [name[:-len("_sized")] for name in functions if name.endswith("_sized")]
    assert len(functions) > 200 and len(set(functions)) == len(functions), "the headers were not understood"
    text = "\n".join(references.values())
    wrong = []
    for name in functions:
        count = len(re.findall(r"^\.\. c:function:: [^(]*\b%s\(" % name, text, re.MULTILINE))
        if count != 1:
            wrong.append("%s is %d times in the reference" % (name, count))
        page = mans.get("man3/%s.3" % name, "")
        link = re.fullmatch(r"\.so (man3/\w+\.3)\n", page)
        page = mans.get(link.group(1), "") if link else page
        for macro in (r"\.Fo", r"\.It Fn"):
            count = len(re.findall(r"^%s %s\b" % (macro, name), page, re.MULTILINE))
            if count != 1:
                wrong.append("%s has %d %s in its man page" % (name, count, macro))
    wrong += ["%s has a name that Doxygen has made up" % name for name, page in sorted(mans.items())
              if re.search(r"\b(?:enum|struct|union) @\d", page)]
    known = {function.name for page in pages.values() for function in page.functions}
    wrong += ["%s is no function of a header" % name for name in sorted(known.difference(functions))]
    return wrong


def main(folder, man_folder, *rest):
    pages, _ = model.read(ROOT, os.path.join(folder, "xml"))
    mans = man.write(pages, ROOT, man_folder, date(), version())
    if rest == ("--man",):
        return 0
    source = os.path.join(folder, "source")
    site_of.Site(ROOT, source, reference.Names(pages).roles).build()
    references = reference.write(pages, ROOT, os.path.join(source, "reference"))
    wrong = check(pages, references, mans)
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
