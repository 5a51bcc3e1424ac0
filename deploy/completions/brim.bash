# SPDX-License-Identifier: MIT
# bash completion for brim. What there is to complete, the binary says itself (`brim help`), so that
# this file cannot lag behind it.

_brim_commands() {
    "$1" help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

_brim_actions() { # of a command that has some: brim kv get ...
    "$1" help "$2" 2>/dev/null | sed -n "s/^\(usage:\)\{0,1\} *brim $2 \([a-z][a-z]*\) .*/\2/p" | sort -u
}

_brim_options() {
    "$1" help "$2" 2>/dev/null | grep -oE -e '(^|[^[:alnum:]-])--?[A-Za-z][a-z-]*' |
        sed 's/^[^-]*//' | sort -u
}

_brim() {
    local brim=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]-} words

    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$command" = help ]; }; then
        words="$(_brim_commands "$brim") help"
    elif [[ $word == -* ]]; then
        words=$(_brim_options "$brim" "$command")
    elif [ "$COMP_CWORD" -eq 2 ]; then
        words=$(_brim_actions "$brim" "$command")
    fi
    if [ -n "${words-}" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    elif [[ $before == -c || $before == -f || $before == --config || $command == lua ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}
complete -o filenames -F _brim brim
