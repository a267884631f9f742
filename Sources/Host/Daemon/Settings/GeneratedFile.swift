/// A file that is made of the table of flags, so that it can't differ from it: `rqlited
/// -generate=man|bash|zsh`, which only scripts call.
enum GeneratedFile: String {
    case man
    case bash
    case zsh

    /// Nil unless the argument asks for one and nothing else was given.
    init?(argument: String, isAlone: Bool) {
        guard isAlone, argument.hasPrefix("-generate=") else { return nil }
        self.init(rawValue: String(argument.dropFirst("-generate=".count)))
    }

    var text: String {
        switch self {
        case .man: ManualPage.text
        case .bash: ShellCompletion.bash
        case .zsh: ShellCompletion.zsh
        }
    }
}
