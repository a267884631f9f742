/// `rqlited recover [--force [--survivor TERM:INDEX …]] [--json] <data directory>`: what an operator
/// asks of the data of a stopped node.
package struct RecoverCommand: Equatable, Sendable {
    static let verb = "recover"

    /// The last log position of another node that is left, as this verb prints it there.
    package struct Survivor: Equatable, Sendable {
        /// Of the last entry.
        package let term: UInt64
        /// Of the last entry.
        package let index: UInt64
    }

    /// Absolute.
    package let dataDirectory: String
    /// Make the node the only voter; otherwise only look.
    package let isForced: Bool
    /// Of the other nodes that are left; only with `isForced`.
    package let survivors: [Survivor]
    /// Results are printed as JSON.
    package let printsJSON: Bool

    struct Invalid: Error, Equatable {
        let text: String
    }

    init(
        parsing arguments: some Sequence<String>, workingDirectory: String
    ) throws(Invalid) {
        var isForced = false
        var printsJSON = false
        var survivors: [Survivor] = []
        var directories: [String] = []
        // Positions may follow each other behind one --survivor.
        var takesPositions = false
        var needsPosition = false
        for argument in arguments {
            if takesPositions, let survivor = Survivor(argument) {
                survivors.append(survivor)
                needsPosition = false
                continue
            }
            guard !needsPosition else { throw Self.noPosition(but: argument) }
            takesPositions = false
            switch argument {
            case "--force", "-force": isForced = true
            case "--json", "-json": printsJSON = true
            case "--survivor", "-survivor":
                takesPositions = true
                needsPosition = true
            case let text where text.hasPrefix("-"):
                guard let survivor = Self.survivor(inFlag: text) else {
                    throw .init(text: "rqlited recover does not know \(text)" + Self.hint)
                }
                survivors.append(survivor)
            default: directories.append(argument)
            }
        }
        // A variable of a script that is empty: without it nothing would be compared.
        guard !needsPosition else { throw Self.noPosition(but: "nothing") }
        guard let directory = directories.first, directories.count == 1 else {
            throw .init(text: "rqlited recover takes one data directory" + Self.hint)
        }
        guard survivors.isEmpty || isForced else {
            throw .init(text: "rqlited recover: --survivor goes with --force" + Self.hint)
        }
        dataDirectory = NodeSettings.absolute(directory, in: workingDirectory)
        self.isForced = isForced
        self.survivors = survivors
        self.printsJSON = printsJSON
    }

    private static func noPosition(but argument: String) -> Invalid {
        Invalid(text: "rqlited recover: --survivor takes TERM:INDEX, not \(argument)" + hint)
    }

    private static func survivor(inFlag text: String) -> Survivor? {
        let parts = text.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[0] == "--survivor" || parts[0] == "-survivor" else {
            return nil
        }
        return Survivor(String(parts[1]))
    }

    private static let hint = "; see rqlited recover -help"

    static let usage = """
        usage: rqlited recover [--json] <data directory>
               rqlited recover --force [--survivor TERM:INDEX ...] [--json] <data directory>
        """
}

extension RecoverCommand.Survivor {
    init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let term = UInt64(parts[0]), let index = UInt64(parts[1]) else {
            return nil
        }
        self.init(term: term, index: index)
    }
}
