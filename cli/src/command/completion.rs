//! `completion`: what a shell needs to complete the command line.

use clap_complete::Shell;

use crate::args::Completion;
use crate::command_error::Outcome;
use crate::help;
use crate::output;

/// Bash splits words at colons, so the word is taken from the line, and only what follows the last colon is replaced.
const BASH: &str = r#"
_tranship_or_location() {
    local line=${COMP_LINE:0:COMP_POINT} words word candidate found=() kept
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]} - 1]}
    while IFS= read -r candidate; do
        found+=("$candidate")
    done < <(tranship complete-location -- "${words[@]}" 2>/dev/null)
    if ((${#found[@]})); then
        kept=
        [[ $COMP_WORDBREAKS == *:* && $word == *:* ]] && kept=${word%"${word##*:}"}
        COMPREPLY=()
        for candidate in "${found[@]}"; do
            # A name may contain what the shell would expand.
            COMPREPLY+=("$(printf %q "${candidate#"$kept"}")")
        done
        [[ ${#found[@]} == 1 && ${found[0]} != *[:/] ]] || compopt -o nospace 2>/dev/null
        return
    fi
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
    let script = without_hidden(&String::from_utf8_lossy(&script));
    let script = match args.shell {
        Shell::Bash => script + BASH,
        Shell::Fish => script + FISH,
        Shell::Zsh => with_locations_in_zsh(&script),
        _ => script,
    };
    output::write(script.as_bytes()).await
}

/// Takes the hidden command out of what is offered.
fn without_hidden(script: &str) -> String {
    let lines = script.lines().filter(|line| {
        // A candidate with its description, in zsh, fish, elvish and PowerShell.
        !line.contains("complete-location:")
            && !line.contains("-a \"complete-location\"")
            && !line.contains("cand complete-location")
            && !line.contains("[CompletionResult]::new('complete-location'")
    });
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    lines.replace(" complete-location ", " ")
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
