# Completion of rota for fish. It asks `rota --help` what there is, so it knows what the installed version knows.
function __rota_commands
    rota --help 2>/dev/null | string match -rg '^  ([a-z][a-z-]*  .*)' | string replace -r ' +' \t
end

function __rota_options
    set -l command (commandline -opc)[2]
    rota $command --help 2>/dev/null | string match -rg '^  (?:-[a-zA-Z], )?(--[a-z-]+ *[A-Z]*  .*)' | string replace -r ' +[A-Z]* *' \t
end

function __rota_takes_file
    set -l command (commandline -opc)
    test (count $command) -ge 2; and test $command[2] != run
end

complete -c rota -f
complete -c rota -n __fish_use_subcommand -a '(__rota_commands)'
complete -c rota -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' -a '(__rota_options)'
complete -c rota -n __rota_takes_file -F
complete -c rota -n '__fish_seen_subcommand_from run' -s c -l config -r -F
complete -c rota -n '__fish_seen_subcommand_from run' -l runtime-dir -x -a '(__fish_complete_directories)'
