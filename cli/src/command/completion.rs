//! `completion`: what a shell needs to complete the command line.

use clap_complete::Shell;

use crate::args::Completion;
use crate::command_error::Outcome;
use crate::help;
use crate::output;

/// Bash splits words at colons, so the word is taken from the line, and only what follows the last colon is replaced.
const BASH: &str = r#"
_tranship_or_location() {
    local line=${COMP_LINE:0:COMP_POINT} words word found kept
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    local IFS=$'\n'
    found=($(tranship complete-location -- "${words[@]}" 2>/dev/null))
    if ((${#found[@]})); then
        kept=
        [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && kept=${word%"${word##*:}"}
        COMPREPLY=("${found[@]#"$kept"}")
        [[ ${#found[@]} == 1 && ${found[0]} != *[:/] ]] || compopt -o nospace 2>/dev/null
        return
    fi
    unset IFS
    _tranship "$@"
}
complete -F _tranship_or_location -o nosort -o bashdefault -o default tranship
"#;

const ZSH: &str = r#"
_tranship_location() {
    local -a before found
    before=(${(z)LBUFFER})
    [[ $LBUFFER == *[[:space:]] ]] || before[-1]=()
    found=(${(f)"$(tranship complete-location -- "${before[@]}" "$PREFIX" 2>/dev/null)"})
    if (( $#found )); then
        compadd -S '' -a found
    else
        _default
    fi
}
"#;

const FISH: &str = r#"
complete -c tranship -n "not __fish_tranship_needs_command" -a "(tranship complete-location -- (commandline -opc) (commandline -ct) 2>/dev/null)"
"#;

pub(super) async fn run(args: &Completion) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::command(), "tranship", &mut script);
    let script = match args.shell {
        Shell::Bash => String::from_utf8_lossy(&script).into_owned() + BASH,
        Shell::Fish => String::from_utf8_lossy(&script).into_owned() + FISH,
        Shell::Zsh => with_locations_in_zsh(&String::from_utf8_lossy(&script)),
        _ => String::from_utf8_lossy(&script).into_owned(),
    };
    output::write(script.as_bytes()).await
}

/// Asks for locations wherever the script would complete the names of files. The function has to be defined before the
/// script ends, as its last lines run it.
fn with_locations_in_zsh(script: &str) -> String {
    let script = script.replace(":_default'", ":_tranship_location'");
    match script.split_once("\n_tranship() {") {
        Some((head, rest)) => format!("{head}\n{ZSH}\n_tranship() {{{rest}"),
        None => script,
    }
}
