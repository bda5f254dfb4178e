# The far end of one attempt: what the shell there performs. It is sent as one line: comments are left out, the lines
# are joined by blanks (so each ends with `;` or with a word after which a command may follow).
#
# Set before it: rw_id (names our marks), rw_mark (of the attempt), rw_size (of the input, in bytes), rw_grace (tenths
# of a second between TERM and KILL), rw_cwd (may be empty), rw_env (a function that exports), and the arguments.
#
# What it says stands on stderr, in lines that begin with rw_id: `refused CLASS TEXT`, `started`, `left NAME (PID)`,
# `lost NAME (PID)`, `end CODE`. On stdout, rw_id alone on a line says that what follows is the program's.
# Descriptors: 3 the channel (its end means: stop), 5 the program's input, 8 and 9 its output, 7 what the parts of this
# script tell each other.
exec 3<&0 </dev/null 8>&1 9>&2;
rw_say() { printf "%s %s\n" "$rw_id" "$*" >&9 2>/dev/null; };
rw_refuse() { rw_say refused "$@"; exit 0; };
rw_nap() { sleep 0.1 2>/dev/null || sleep 1; };
rw_take() {
    for rw_dir in /dev/shm "${TMPDIR:-/tmp}" /var/tmp; do
        rw_file=$(umask 077; mktemp "$rw_dir/runwright-XXXXXXXX" 2>/dev/null) && break;
        rw_file=;
    done;
    [ -n "$rw_file" ] || rw_refuse system "the standard input has no place: neither /dev/shm nor /tmp can be written";
    exec 4>"$rw_file" 5<"$rw_file" 6<"$rw_file";
    rm -f -- "$rw_file";
    head -c "$rw_size" <&3 >&4 2>/dev/null;
    exec 4>&-;
    [ $(wc -c <&6) -eq "$rw_size" ] || rw_refuse system "the standard input did not arrive whole";
    exec 6<&-;
};
rw_find() {
    case $1 in
        */*) rw_found=$1;;
        *)
            rw_found=;
            set -f;
            IFS=:;
            for rw_dir in $PATH; do
                if [ -f "$rw_dir/$1" ] && [ -x "$rw_dir/$1" ]; then
                    rw_found=$rw_dir/$1;
                    break;
                fi;
            done;
            unset IFS;
            set +f;
            [ -n "$rw_found" ] || rw_refuse not_found "there is no program \`$1\` in $PATH";
        ;;
    esac;
    [ -e "$rw_found" ] || rw_refuse not_found "there is no file \`$rw_found\`";
    if [ -d "$rw_found" ] || [ ! -x "$rw_found" ]; then
        rw_refuse denied "\`$rw_found\` is not a program that may be executed";
    fi;
};
rw_enter() {
    case $rw_cwd in
        "") return 0;;
        /*) ;;
        *) rw_cwd=./$rw_cwd;;
    esac;
    [ -d "$rw_cwd" ] || rw_refuse not_found "\`cwd\`: there is no folder \`$rw_cwd\`";
    cd -- "$rw_cwd" 2>/dev/null || rw_refuse denied "\`cwd\`: the folder \`$rw_cwd\` may not be entered";
};
# Takes out of a list those that have ended and are only not waited for.
rw_alive() {
    while read -r rw_other; do
        IFS= read -r rw_line <"/proc/$rw_other/stat" || continue;
        case ${rw_line##*") "} in
            [ZX]*) ;;
            *) echo "$rw_other";;
        esac;
    done 2>/dev/null;
};
# The living processes of its session's group.
rw_group() {
    if [ -n "$rw_session" ] && kill -s 0 -- "-$rw_pid"; then
        for rw_stat in /proc/[0-9]*/stat; do
            IFS= read -r rw_line <"$rw_stat" || continue;
            rw_other=${rw_stat#/proc/};
            set -- ${rw_line##*") "};
            [ "$3" = "$rw_pid" ] && echo "${rw_other%/stat}";
        done;
    fi 2>/dev/null | rw_alive;
};
# The living processes that carry its mark.
rw_marked() {
    grep -lsF -- "RUNWRIGHT_ATTEMPT=$rw_mark" /proc/[0-9]*/environ | while IFS= read -r rw_line; do
        rw_line=${rw_line#/proc/};
        echo "${rw_line%/environ}";
    done | rw_alive;
};
rw_members() { { rw_group; rw_marked; } | sort -un; };
# Those that make it likely that something was left behind: not a daemon, which leaves the session and lets go of the
# output.
rw_traces() {
    if [ -n "$rw_stop" ] || [ -z "$rw_session" ]; then
        rw_members;
        return 0;
    fi;
    rw_group;
    for rw_other in $(rw_marked); do
        for rw_fd in 1 2; do
            if [ "/proc/$rw_other/fd/$rw_fd" -ef /proc/self/fd/8 ] || [ "/proc/$rw_other/fd/$rw_fd" -ef /proc/self/fd/9 ]; then
                echo "$rw_other";
                break;
            fi;
        done;
    done;
};
# Whether a process of that number was reached with the group.
rw_reached() {
    IFS= read -r rw_line <"/proc/$1/stat" || return 0;
    set -- ${rw_line##*") "};
    [ -n "$rw_session" ] && [ "$3" = "$rw_pid" ];
};
# The group, and those that left it: nobody is told twice to end.
rw_kill() {
    [ -n "$rw_pid" ] || return 0;
    if [ -n "$rw_session" ]; then kill -s "$1" -- "-$rw_pid"; fi;
    for rw_other in $(rw_members); do
        rw_reached "$rw_other" || kill -s "$1" "$rw_other";
    done;
    [ -d /proc/self ] || kill -s "$1" "$rw_pid";
};
rw_tell() {
    for rw_other in $rw_list; do
        rw_name=;
        IFS= read -r rw_name <"/proc/$rw_other/comm";
        rw_say "$1" "${rw_name:-process} ($rw_other)";
    done;
};
# Ends what the program left behind: those that are just going have two tenths of a second.
rw_sweep() {
    rw_turn=0;
    rw_list=$(rw_traces);
    while [ -n "$rw_list" ] && [ $rw_turn -lt 2 ]; do
        rw_nap;
        rw_turn=$((rw_turn + 1));
        rw_list=$(rw_traces);
    done;
    [ -n "$rw_list" ] || return 0;
    rw_list=$(rw_members);
    rw_tell left;
    rw_kill TERM;
    rw_turn=0;
    while [ -n "$(rw_members)" ] && [ $rw_turn -lt "$rw_grace" ]; do
        rw_nap;
        rw_turn=$((rw_turn + 1));
    done;
    rw_turn=0;
    while [ -n "$(rw_members)" ] && [ $rw_turn -lt 10 ]; do
        rw_kill KILL;
        rw_nap;
        rw_turn=$((rw_turn + 1));
    done;
    rw_list=$(rw_members);
    rw_tell lost;
};
# Hears of everything, one thing a line.
rw_control() {
    trap "" PIPE HUP INT TERM;
    rw_pid=;
    rw_waiter=;
    rw_stop=;
    while read -r rw_what rw_value; do
        case $rw_what in
            waiter) rw_waiter=$rw_value;;
            pid)
                rw_pid=$rw_value;
                [ -z "$rw_stop" ] || rw_kill TERM;
            ;;
            gone)
                rw_stop=1;
                rw_kill TERM;
            ;;
            late) rw_kill KILL;;
            exit) break;;
        esac;
    done;
    kill "$rw_waiter";
    [ -z "$rw_pid" ] || rw_sweep;
    rw_say end "$rw_value";
};
# Tells that the channel has ended, and, some time later, that patience has.
rw_wait() {
    while read -r rw_line <&3; do :; done;
    echo gone;
    rw_turn=0;
    while [ $rw_turn -lt "$rw_grace" ]; do
        rw_nap;
        rw_turn=$((rw_turn + 1));
    done;
    echo late;
};
if [ "$rw_size" -gt 0 ]; then rw_take; else exec 5</dev/null; fi;
rw_enter;
rw_find "$1";
rw_session=$(command -v setsid);
printf "%s\n" "$rw_id" >&8;
rw_say started;
{
    rw_wait 5<&- 8>&- 9>&- 2>/dev/null &
    echo "waiter $!";
    exec 3<&-;
    (
        rw_env;
        export RUNWRIGHT_ATTEMPT="$rw_mark";
        exec $rw_session /bin/sh -c "echo pid \$\$ >&7; exec 7>&-; unset PWD OLDPWD SHLVL; exec \"\$@\"" sh "$@"
    ) 7>&1 <&5 5<&- 1>&8 8>&- 2>&9 9>&-;
    echo "exit $?";
} 2>/dev/null | rw_control 3<&- 5<&- 2>/dev/null;
exit 0
