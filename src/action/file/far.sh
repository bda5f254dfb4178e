# A file at a far end: read (`sh -c THIS sh read FILE FOLLOW`), replaced by what stands on standard input
# (`sh -c THIS sh replace FILE FOLLOW DIGEST SIZE MODE OWNER ENCODING`; DIGEST `none`: there must be no file; an existing
# file keeps its mode and owner; ENCODING `plain` or `base64`), or removed (`sh -c THIS sh remove FILE FOLLOW DIGEST`).
# The first line of stdout says how it went: `present`, `absent`, `replaced`, `made`, `removed`, or `refused CLASS TEXT`;
# after `present` the bytes follow.
LC_ALL=C
export LC_ALL
umask 077
refuse() {
    printf 'refused %s %s\n' "$1" "$2"
    exit 0
}
doing=$1 file=$2 follow=$3 digest=$4 size=$5 mode=$6 owner=$7 encoding=$8
case $file in
    /*) ;;
    *) file=$(pwd -P; echo x) file=${file%?x}/$2 ;;
esac
case $file in
    */ | */. | */..) refuse bad_value "$2 does not name a file" ;;
esac
if [ "$follow" = yes ]; then
    real=$(readlink -f -- "$file" && echo x) || refuse not_found "cannot follow $2"
    file=${real%?x}
else
    # Every folder on the way, and the file itself.
    rest=${file#/} way=
    while [ -n "$rest" ]; do
        way=$way/${rest%%/*}
        case $rest in
            */*) rest=${rest#*/} ;;
            *) rest= ;;
        esac
        [ -L "$way" ] && refuse denied "$way is a symbolic link; name the real path, or say \`follow: true\`"
        [ -z "$rest" ] || [ -e "$way" ] || refuse not_found "the folder $way is not there; make it first"
        [ -z "$rest" ] || [ -d "$way" ] || refuse not_found "$way is not a folder"
    done
fi
folder=${file%/*}
[ -n "$folder" ] || folder=/
there=
if [ -e "$file" ] || [ -L "$file" ]; then
    there=yes
    [ -f "$file" ] || refuse denied "$file is not a regular file"
    [ -r "$file" ] || refuse denied "$file may not be read"
    [ -z "$(find "$file" -prune -links +1)" ] ||
        refuse denied "$file has several names (hard links), and replacing it would change only one of them; break the link first"
fi
if [ "$doing" = read ]; then
    [ -n "$there" ] || { echo absent; exit 0; }
    [ -z "$(find "$file" -prune -size +32768)" ] || refuse bad_answer "$file is larger than 16 MiB"
    echo present
    exec cat -- "$file"
fi
digest_of() {
    if command -v sha256sum >/dev/null; then sha256sum; elif command -v shasum >/dev/null; then shasum -a 256; else openssl dgst -sha256 -r; fi
}
moved() {
    refuse system "$file was left alone: $1; run the step again"
}
same() {
    if [ "$digest" = none ]; then
        [ -e "$file" ] || [ -L "$file" ] && moved "it was made by somebody else meanwhile"
        return 0
    fi
    [ -f "$file" ] && [ ! -L "$file" ] || moved "somebody else removed it meanwhile"
    now=$(digest_of <"$file")
    [ "${now%% *}" = "$digest" ] || moved "somebody else changed it meanwhile"
}
# Mode and owner, where there is a program that tells.
rights() {
    stat -c '%a %u %g' -- "$1" 2>/dev/null || stat -f '%Lp %u %g' -- "$1" 2>/dev/null
}
same
if [ "$doing" = remove ]; then
    rm -f -- "$file" || refuse denied "cannot remove $file"
    sync -- "$folder" 2>/dev/null
    echo removed
    exit 0
fi
temp=$(mktemp "$folder/.runwright-XXXXXXXX" 2>/dev/null) || refuse denied "no file can be made beside $file"
trap 'rm -f -- "$temp"' EXIT
trap 'exit 1' HUP INT TERM
if [ -n "$there" ]; then
    # The rights, and where the system knows more of them (lists, labels), those too.
    cp -a -- "$file" "$temp" 2>/dev/null || cp -p -- "$file" "$temp" || refuse system "cannot write beside $file"
fi
if [ "$encoding" = base64 ]; then
    if command -v base64 >/dev/null; then base64 -d; else openssl base64 -d -A; fi
else
    cat
fi >"$temp" || refuse system "cannot write beside $file"
[ $(wc -c <"$temp") -eq "$size" ] || refuse system "cannot write beside $file: not all bytes arrived"
if [ -n "$there" ]; then
    set -- $(rights "$file")
    [ $# -eq 0 ] || chmod "$1" "$temp" || refuse denied "cannot keep the mode of $file"
    [ "$(rights "$file")" = "$(rights "$temp")" ] || refuse denied "cannot keep the owner and the mode of $file"
else
    [ -z "$owner" ] || chown -- "$owner" "$temp" || refuse denied "cannot give $file to $owner"
    chmod "$mode" "$temp" || refuse denied "cannot set the mode of $file"
fi
sync -- "$temp" 2>/dev/null || sync
same
if [ -n "$there" ]; then
    mv -fT -- "$temp" "$file" 2>/dev/null || mv -f -- "$temp" "$file" || refuse denied "cannot replace $file"
    said=replaced
else
    # A link is made only where nothing stands; a file system without links gets a plain rename.
    if ln -- "$temp" "$file" 2>/dev/null; then
        rm -f -- "$temp"
    else
        same
        mv -f -- "$temp" "$file" || refuse denied "cannot make $file"
    fi
    said=made
fi
trap - EXIT
sync -- "$folder" 2>/dev/null
echo "$said"
