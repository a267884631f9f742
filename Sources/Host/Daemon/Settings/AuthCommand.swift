/// `rqlited auth hash|token|check`: helps with writing the file of `-auth`.
package enum AuthCommand: Equatable, Sendable {
    /// Read a password from standard input and print its hash.
    case hash(method: String)
    /// Make a bearer token with this name: print it, and the entry of the file.
    case token(name: String)
    /// Say whether the file can be used, and what in it may not be meant.
    case check(file: String)

    static let verb = "auth"
    /// The first is what is taken if none is named.
    package static let methods = ["yescrypt", "bcrypt"]

    /// `arguments` begin behind the word `auth`.
    static func parse(_ arguments: [String]) -> Invocation {
        let rest = Array(arguments.dropFirst())
        switch arguments.first {
        case "-h", "-help", "--help", "help": return .help(usage)
        case "hash":
            if rest.isEmpty { return .auth(.hash(method: methods[0])) }
            guard rest.count == 1, methods.contains(rest[0]) else {
                return failure("hash takes \(methods.joined(separator: " or ")), or nothing")
            }
            return .auth(.hash(method: rest[0]))
        case "token":
            guard rest.count == 1, isName(rest[0]) else {
                return failure("token takes a name of letters, digits, - and _")
            }
            return .auth(.token(name: rest[0]))
        case "check":
            guard rest.count == 1, !rest[0].isEmpty else { return failure("check takes one file") }
            return .auth(.check(file: rest[0]))
        case let word?: return failure("there is no verb \(word)")
        case nil: return failure("which of them?")
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 64 && !text.hasPrefix("-")
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) }
    }

    private static func failure(_ text: String) -> Invocation {
        .failure("rqlited auth: \(text); see rqlited auth -help", exitCode: 2)
    }

    static let usage = """

        Helps with writing the file of -auth.

        Usage: rqlited auth hash [yescrypt|bcrypt]
               rqlited auth token NAME
               rqlited auth check FILE

          hash   reads a password, one line of standard input, and prints its hash, for the
                 member "hash" of a user
          token  makes a bearer token: prints it, and the entry of the file with its hash
          check  says whether a file can be used, and what in it may not be meant

        A data directory called auth is written ./auth.

        """
}
