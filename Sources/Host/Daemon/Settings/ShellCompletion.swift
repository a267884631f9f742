/// Completion of the command line in shells.
enum ShellCompletion {
    private static var flags: [Flag] {
        Flag.all.filter { $0.availability == .available }.sorted { $0.name < $1.name }
    }

    private static var verbFlags: [Flag] {
        DiscoveryCommand.flags.sorted { $0.name < $1.name }
    }

    static var bash: String {
        """
        # Completion of rqlited in bash.
        _rqlited() {
            local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
            local flags="\(names(flags))"
            COMPREPLY=()
            case ${before#-} in
        \(bashChoices)
            -disco-config | disco-config | -disco-plugin-path | disco-plugin-path | \
                -extensions-path | extensions-path)
                compopt -o default
                return
                ;;
            esac
            case ${COMP_WORDS[1]} in
            disco) flags="\(DiscoveryCommand.words.joined(separator: " ")) \(names(verbFlags))" ;;
            recover) flags="--force --survivor --json" ;;
            restore) flags="--from --at --cluster --to --rehearse --extensions-path --json" ;;
            auth) flags="hash token check" ;;
            help) flags="disco recover restore auth" ;;
            esac
            if [[ $COMP_CWORD -eq 1 && $word != -* ]]; then
                COMPREPLY=($(compgen -W "\(verbs)" -d -- "$word"))
            elif [[ $word == -* || " disco auth help " == *" ${COMP_WORDS[1]} "* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$word"))
            else
                COMPREPLY=($(compgen -d -- "$word"))
            fi
        }
        complete -F _rqlited rqlited

        """
    }

    static var zsh: String {
        """
        #compdef rqlited
        # Completion of rqlited in zsh.
        _rqlited() {
            if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
                _alternative 'verbs:verb:(\(verbs))' 'directories:data directory:_files -/'
                return
            fi
            case $words[2] in
            disco)
                _arguments '1:disco:(disco)' '2:verb:(\(DiscoveryCommand.words.joined(separator: " ")))' \\
        \(zshArguments(verbFlags))
                ;;
            recover)
                _arguments '1:recover:(recover)' '--force' '*--survivor' '--json' '2:data directory:_files -/'
                ;;
            restore)
                _arguments '1:restore:(restore)' '--from:address or file:_files' '--at:index or time:' '--cluster:ID:' '--to:file:_files' '--rehearse' '--json'
                ;;
            auth) _arguments '1:auth:(auth)' '2:verb:(hash token check)' '3:file:_files' ;;
            help) _arguments '1:help:(help)' '2:verb:(disco recover restore auth)' ;;
            *)
                _arguments \\
        \(zshArguments(flags)) \\
                    '*:data directory:_files -/'
                ;;
            esac
        }
        _rqlited "$@"

        """
    }

    private static let verbs = "disco recover restore version help"

    private static func names(_ flags: [Flag]) -> String {
        flags.map { "-\($0.name)" }.joined(separator: " ")
    }

    private static var bashChoices: String {
        flags.filter { !$0.choices.isEmpty }.map { flag in
            """
                -\(flag.name) | \(flag.name))
                    COMPREPLY=($(compgen -W "\(flag.choices.joined(separator: " "))" -- "$word"))
                    return
                    ;;
            """
        }.joined(separator: "\n")
    }

    private static func zshArguments(_ flags: [Flag]) -> String {
        flags.map { flag in
            let help = zshEscaped(flag.help)
            let value =
                switch flag.kind {
                case .boolean: ""
                case _ where !flag.choices.isEmpty:
                    ":value:(\(flag.choices.joined(separator: " ")))"
                case _
                where ["disco-config", "disco-plugin-path", "extensions-path"]
                    .contains(flag.name):
                    ":value:_files"
                default: ":\(flag.kind.word.dropFirst()):"
                }
            return "            '-\(flag.name)[\(help)]\(value)'"
        }.joined(separator: " \\\n")
    }

    /// Brackets end a description, a colon begins what follows it, and a quote ends the word.
    private static func zshEscaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "[", "]", ":", "\\": result += "\\\(character)"
            case "'": result += "'\\''"
            default: result.append(character)
            }
        }
        return result
    }
}
