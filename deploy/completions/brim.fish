# SPDX-License-Identifier: MIT
# fish completion for brim. What there is to complete, the binary says itself (`brim help`), so that
# this file cannot lag behind it.

function __brim_commands
    set -l brim (commandline -opc)[1]
    $brim help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  *\(.*\)/\1\t\2/p'
    printf 'help\tsay more of a command\n'
end

function __brim_actions
    set -l words (commandline -opc)
    $words[1] help $words[2] 2>/dev/null |
        sed -n "s/^\(usage:\)\{0,1\} *brim $words[2] \([a-z][a-z]*\) .*/\2/p" | sort -u
end

function __brim_options
    set -l words (commandline -opc)
    string match -q -- '-*' (commandline -ct); or return
    $words[1] help $words[2] 2>/dev/null |
        grep -oE -e '(^|[^[:alnum:]-])--?[A-Za-z][a-z-]*' | sed 's/^[^-]*//' | sort -u
end

function __brim_word_is
    test (count (commandline -opc)) -eq $argv[1]
end

function __brim_wants_file
    set -l words (commandline -opc)
    contains -- $words[-1] -c -f --config; or test "$words[2]" = lua -a (count $words) -gt 2
end

complete -c brim -f
complete -c brim -n '__brim_word_is 1' -a '(__brim_commands)'
complete -c brim -n '__brim_word_is 2; and test (commandline -opc)[2] = help' -a '(__brim_commands)'
complete -c brim -n '__brim_word_is 2' -a '(__brim_actions)'
complete -c brim -n 'not __brim_word_is 1' -a '(__brim_options)'
complete -c brim -n __brim_wants_file -F
