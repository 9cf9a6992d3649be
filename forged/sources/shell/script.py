r"""What a shell is told: some functions, once, and then one call of them for each question.

Everything of the owner's or the box's goes there as bytes in single quotes, so that no shell reads it as anything but a word. Only
POSIX and what busybox 1.35 brings is used (`find -print0`, `sort -z`, `xargs -0`, `stat -c`, `dd`): seen with busybox and dash.

Each answer ends with the mark, a line of our own random choice that no file of the box can hold. In a listing each record ends
with `//` and a newline, which no path can hold. What `find` complains of goes the way of the names, once it has ended (its own
output is cut anywhere, also within a name): as a name `/` where access was denied, so that somebody can say to what, and as `/.`
for the rest. `/..` is the end. So they are sorted behind all names below the root, and a listing in which a tool died has no end.
(A shell that cannot fork ends with a status between 1 and 125, and `xargs` goes on: that listing is not believed, either.)

A long work says that it lives by lines with a dot.

A folder is entered by `cd -P`, and has to be where it was looked for: so no link on the way is followed. Only then is a name used,
as `./name`, by tools that do not follow a link there (`stat`, `mv`, `rm`, `ln`, `rmdir`), or after `stat` said that it is a
regular file (`dd`, `sha256sum`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from forged.model.files import Stat
from forged.model.paths import MAX_COMPONENT_BYTES, SourcePath

BEAT_S = 5
"""How often a long work says that it lives: some times within the silence limit."""

ASIDE_BYTES = len(".forged-aside-00000000-00000000-")
"""What the name of a file that waits aside has before its own name. One too long for that loses its own."""

TOOLS = ("date", "dd", "find", "head", "ln", "mv", "rm", "rmdir", "sha256sum", "sort", "stat", "tail", "xargs")
"""What is asked for by name when a shell begins."""

TRUE_SORT = b"a.b."
"""What sorting two names that end with NUL gives, where the tools can."""

ACROSS = b"dd"
"""What the shell says when its `dd` counts in bytes."""

_FUNCTIONS = r"""
LC_ALL=C TZ=UTC0 PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin; export LC_ALL TZ PATH; unset CDPATH; set -f
F='%f %s %Y %i %y %Z %z'; export F
m() { printf '%s\n' "$N"; }
why() {
  if cd -P "$1"; then echo L; return; fi
  v=$1
  while [ -n "$v" ] && ! [ -e "$v" ]; do v=${v%/*}; done
  v=${v:-/}
  if [ -d "$v" ] && { [ "$v" = "$1" ] || ! [ -x "$v" ]; }; then echo U; else echo G; fi
}
at() { cd -P "$1" && [ "$PWD" = "$1" ] && return; why "$1"; return 1; }
s() {
  stat -c "$F" "./$1" && return
  if [ -e "./$1" ] || [ -L "./$1" ]; then echo U; else echo G; fi
}
q() { while sleep BEAT_S >/dev/null; do echo .; done; }
o() {
  if ! cd -P "$1"; then [ -e "$1" ] && echo U || echo G; return; fi
  printf '%s//\n' "$PWD"
  for t in TOOLS; do command -v "$t" >/dev/null && printf '%s ' "$t"; done; echo
  printf 'b\0a\0' | sort -z | xargs -0 printf '%s.'; echo
  find /dev/null -print0 | xargs -0 stat -c "$F"
  dd if=/dev/null bs=1 iflag=skip_bytes,count_bytes skip=0 count=0 && echo dd
}
k() { date +%s.%N; }
l() { at "$1" && s "$2"; }
p() {
  if cd -P "$1"; then printf '%s//\n' "$PWD"; stat -c '%d %i' .; return; fi
  case $(stat -L "$1" 2>&1) in *': Too many levels of symbolic links' | *': Symbolic link loop') echo L; return;; esac
  if [ -d "$1" ]; then echo U; elif [ -e "$1" ]; then echo L; else why "$1"; fi
}
b() {
  o=
  at "$2" || return
  w=$(stat -c "$F" "./$3") || w=$(s "$3")
  printf '%s\n' "$w"
  case $w in 8???" $4"*) o=$1 f=./$3;; esac
}
r() {
  [ "$o" = "$1" ] || return
  if [ "$5" ]; then dd if="$f" bs=262144 iflag=skip_bytes,count_bytes skip="$2" count="$3"
  else tail -c "+$4" "$f" | head -c "$3"; fi
}
e() { [ "$o" = "$1" ] || return; o=; if [ "$2" ]; then sha256sum <"$f"; fi; s "${f#./}"; }
slow() { q & p=$!; y=$(sha256sum <"./$1"); kill $p; wait $p; }
h() {
  at "$1" || return
  w=$(s "$2"); printf '%s\n' "$w"
  case $w in 8???" $3"*) ;; *) return;; esac
  if [ "$4" ]; then slow "$2"; [ -z "$y" ] || printf '%s\n' "$y"; else sha256sum <"./$2"; fi
  s "$2"
}
same() {
  case $(s "$1") in "$2 "*) ;; *) return 1;; esac
  [ "$3" ] || return 0
  slow "$1"
  case $y in "$3 "*) case $(s "$1") in "$2 "*) return 0;; esac;; esac
  return 1
}
x() {
  at "$1" || return
  if [ "$(s "$2")" != "$3" ]; then echo C; return; fi
  a=.forged-aside-$(printf %08x "$(date +%s)")-$5
  if ! mv "./$2" "./$a"; then echo F; return; fi
  w=C
  if same "$a" "$4" "$6"; then
    rm -f "./$a"
    if ! [ -e "./$a" ]; then echo R; return; fi
    w=F
  fi
  if [ -d "./$2" ] || ! ln "./$a" "./$2"; then echo A; return; fi
  rm -f "./$a"; echo $w
}
z() { at "$1" && rmdir "./$2" && echo R; }
export B='
if t=$(stat -c "$F %n//" "$@"); then printf "%s\n" "$t"; exit; fi
for f; do
  if t=$(stat -c "$F %n//" "$f"); then printf "%s\n" "$t"
  elif [ -e "$f" ] || [ -L "$f" ] || { [ -d "${f%/*}" ] && ! [ -x "${f%/*}" ]; }; then printf "U %s//\n" "$f"
  elif [ "${#f}" -ge 4096 ]; then printf "U %.4000s//\n" "$f"; fi
done
'
export C='for f; do { [ -r "$f" ] && [ -x "$f" ]; } || ! [ -d "$f" ] || printf "U %s//\n" "$f"; done'
c() {
  n=0 u=
  while IFS= read -r y; do
    case $y in *': No such file or directory') ;; *': Permission denied') n=$((n + 1));; *) u=y;; esac
  done
  while [ "$n" -gt 0 ]; do printf '/\0'; n=$((n - 1)); done
  [ -z "$u" ] || printf '/.\0'
}
t() {
  R=$1; shift
  if ! at "$R" >/dev/null; then echo M//; return; fi
  i=$(stat -c '%d %i' .)
  printf 'K %s//\n' "$(k)"
  for d; do
    shift
    if [ "$d" = . ] || at "${R%/}/${d#./}" >/dev/null; then set -- "$@" "$d"; else printf 'N %s//\n' "$d"; fi
    cd -P "$R"
  done
  if [ "$#" -gt 0 ]; then
    if { {
      while sleep BEAT_S >/dev/null 3>&-; do echo .//; done >&3 4>&- & p=$!
      { find "$@" ! -type d -print0 2>&1 >&4; g=$?; [ "$g" -lt 126 ] || echo "$g"; } | c >&4
      kill $p; wait $p
      printf '/..\0' >&4
    } 4>&1 >/dev/null | sort -z | xargs -0 sh -c "$B" sh; } 3>&1; then :; else echo X//; fi
    find "$@" -type d -print0 | xargs -0 sh -c "$C" sh
  else stat -c "$F %n//" /..; fi
  if at "$R" >/dev/null && [ "$(stat -c '%d %i' .)" = "$i" ]; then echo T//; else echo M//; fi
}
"""


def quoted(raw: bytes) -> bytes:
    """One word for a POSIX shell, whatever bytes are in it (but for NUL, which no path has)."""
    return b"'" + raw.replace(b"'", b"'\\''") + b"'"


def program(mark: bytes) -> bytes:
    """The functions, and the first mark: what comes before it are words of a login script."""
    functions = _FUNCTIONS.replace("BEAT_S", str(BEAT_S)).replace("TOOLS", " ".join(TOOLS)).encode()
    return b"N=%b\n%b\nexec 2>/dev/null\nm\n" % (mark, functions)


def _call(function: bytes, *words: bytes) -> bytes:
    return b"%b %b </dev/null;m\n" % (function, b" ".join(map(quoted, words)))


class Script:
    """The calls, for one root (absolute, without links). Each answers a body and the mark."""

    def __init__(self, root: bytes) -> None:
        self._root = root

    def _place(self, path: SourcePath) -> tuple[bytes, bytes]:
        """The folder, absolute, and the name."""
        folder, _, name = path.rpartition(b"/")
        return self._folder(folder), name

    def _folder(self, folder: bytes) -> bytes:
        return b"/".join((self._root.rstrip(b"/"), folder)) if folder else self._root

    @staticmethod
    def open(root: bytes) -> bytes:
        """Where the root really is, and what the box has: see `answers.Tools`."""
        return _call(b"o", root)

    @staticmethod
    def clock() -> bytes:
        """The time of day."""
        return _call(b"k")

    def look(self, path: SourcePath) -> bytes:
        """How a file looks: a line of `stat`, or a letter."""
        return _call(b"l", *self._place(path))

    @staticmethod
    def resolve(folder: bytes) -> bytes:
        """Where a folder really is, absolute as it is asked for: see `answers.placed`."""
        return _call(b"p", folder)

    def begin(self, number: int, path: SourcePath, expected: Stat) -> bytes:
        """Looks at a file that is to be read. It is read under that number, if it looks as expected."""
        return _call(b"b", b"%d" % number, *self._place(path), _outside(expected))

    @staticmethod
    def read(number: int, offset_bytes: int, size_bytes: int, across: bool) -> bytes:
        """So many bytes from there; fewer where the file is shorter. `across`: `dd` counts in bytes."""
        return _call(b"r", *(b"%d" % n for n in (number, offset_bytes, size_bytes, offset_bytes + 1)), b"y" if across else b"")

    @staticmethod
    def end(number: int, hash: bool) -> bytes:
        """Looks at it again; with its sha256 before that, if that is wanted."""
        return _call(b"e", b"%d" % number, b"y" if hash else b"")

    def hash(self, path: SourcePath, expected: Stat, beats: bool) -> bytes:
        """A look, the sha256 (with signs of life, if that may take long), and another look."""
        return _call(b"h", *self._place(path), _outside(expected), b"y" if beats else b"")

    def remove(self, path: SourcePath, seen: bytes, lasting: bytes, sha256: bytes | None) -> bytes:
        """Removes a file whose `stat` line is still `seen`, of which `lasting` is what renaming does not change; with a hash, only
        if its bytes have that. Meanwhile it has a name of the agent's own kind, which an agent can undo."""
        folder, name = self._place(path)
        aside = secrets.token_hex(4).encode()
        if len(name) <= MAX_COMPONENT_BYTES - ASIDE_BYTES:
            aside += b"-" + name
        return _call(b"x", folder, name, seen, lasting, aside, sha256.hex().encode() if sha256 else b"")

    def remove_folder(self, folder: SourcePath) -> bytes:
        """Removes it if it is empty."""
        return _call(b"z", *self._place(folder))

    def list(self, folders: Sequence[SourcePath]) -> bytes:
        """Every file below the root, or below these folders (none inside another): see `listing`."""
        return _call(b"t", self._root, *(b"./" + folder for folder in folders), *([] if folders else [b"."]))


def _outside(expected: Stat) -> bytes:
    """What of a stat the shell itself compares, in whole seconds: a look that differs there moves no byte."""
    inode = b"" if expected.inode is None else b"%d " % expected.inode
    return b"%d %d %b" % (expected.size_bytes, expected.mtime_ns // 10**9, inode)
