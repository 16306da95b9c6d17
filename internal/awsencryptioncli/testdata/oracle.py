"""What Python's argparse and shlex make of command lines.

Reads a JSON list of command lines and writes a JSON list of what each comes to:
{"error": text}, {"stop": action} or {"namespace": values}. Arguments that name
files name them in the current directory.
"""
import argparse, json, os, shlex, sys, warnings

warnings.simplefilter("ignore")  # of nested groups, which the tool has

POLICIES, ALGORITHMS = json.loads(sys.argv[1])


class Refused(Exception):
    pass


class Stop(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(message)

    def convert_arg_line_to_args(self, line):
        lexer = shlex.shlex(line, posix=True)
        lexer.whitespace_split = True
        lexer.escapedquotes = "'\""
        return [os.path.expandvars(os.path.expanduser(word.strip())) for word in lexer]


class Once(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        if getattr(namespace, self.dest) is not None:
            parser.error(option_string + " argument may not be specified more than once")
        setattr(namespace, self.dest, values)


class Ends(argparse.Action):
    def __init__(self, option_strings, dest, **rest):
        super().__init__(option_strings, dest, nargs=0, **rest)

    def __call__(self, *_):
        raise Stop(self.dest)


def CommitmentPolicyArgs(text):
    if text not in POLICIES:
        raise ValueError
    return text


def build():
    p = Parser(prog="aws-encryption-cli", add_help=False, fromfile_prefix_chars="@")

    def trap(names):
        for name in names:
            if name.startswith("--"):
                p.add_argument(name[1:], dest="misspelt", action="store_const", const=name[1:])

    def flag(*names, **how):
        trap(names)
        p.add_argument(*names, **how)

    def grouped(group, *names, **how):
        group.add_argument(*names, **how)
        trap(names)

    flag("-h", "--help", action=Ends)
    what = p.add_mutually_exclusive_group(required=True)
    grouped(what, "--version", action=Ends)
    do = what.add_mutually_exclusive_group()
    grouped(do, "-e", "--encrypt", dest="action", action="store_const", const="encrypt")
    grouped(do, "-d", "--decrypt", dest="action", action="store_const", const="decrypt")
    grouped(do, "--decrypt-unsigned", dest="action", action="store_const", const="decrypt-unsigned")
    metadata = p.add_mutually_exclusive_group(required=True)
    grouped(metadata, "-S", "--suppress-metadata", dest="suppress", action="store_true")
    grouped(metadata, "--metadata-output")
    flag("--overwrite-metadata", action="store_true")
    flag("-w", "--wrapping-keys", nargs="+", action="append", required=True)
    flag("--commitment-policy", type=CommitmentPolicyArgs)
    flag("--caching", nargs="+", action=Once)
    flag("-b", "--buffer", action="store_true")
    flag("-i", "--input", required=True, action=Once)
    flag("-o", "--output", required=True, action=Once)
    flag("--encode", action="store_true")
    flag("--decode", action="store_true")
    flag("-c", "--encryption-context", nargs="+", action=Once)
    flag("--required-encryption-context-keys", nargs="+", action=Once)
    flag("--algorithm", action=Once, choices=ALGORITHMS)
    for name in ("--frame-length", "--max-length", "--max-encrypted-data-keys"):
        flag(name, type=int, action=Once)
    flag("--suffix", nargs="?", const="", action=Once)
    flag("--interactive", action="store_true")
    flag("--no-overwrite", action="store_true")
    flag("-r", "-R", "--recursive", action="store_true")
    flag("-v", dest="verbosity", action="count")
    flag("-q", "--quiet", action="store_true")
    return p


def outcome(args):
    try:
        return {"namespace": vars(parser.parse_args(args))}
    except Refused as refused:
        return {"error": str(refused)}
    except Stop as stop:
        return {"stop": str(stop)}
    except Exception as broken:
        return {"broken": repr(broken)}


def number(kind, text):
    try:
        return repr(kind(text))
    except ValueError:
        return None


cases = json.load(sys.stdin)
if len(sys.argv) > 2:
    out = [{"int": number(int, t), "float": number(float, t), "repr": repr(t)} for t in cases]
else:
    parser = build()
    # Later versions read on after some errors, and find others.
    exact = sys.version_info < (3, 12, 3)
    out = [outcome(args) | {"exact": exact} for args in cases]
json.dump(out, sys.stdout)
