/// What a command line asks for. Nothing is touched to find out: the caller prints, exits or runs.
package enum Invocation: Equatable, Sendable {
    case run(NodeSettings)
    /// Look at discovery and exit.
    case discovery(DiscoveryCommand)
    /// Serve a plugin to the daemon that started this process; no operator types that.
    case servePlugin
    /// `rqlited recover …`: look at a stopped node's data, or make it go on alone.
    case recover(RecoverCommand)
    /// `rqlited restore …`: make a database of an archive of the log.
    case restore(RestoreCommand)
    /// `rqlited auth …`: help with a credentials file.
    case auth(AuthCommand)
    /// `rqlited secret`: print a new secret for `-cluster-secret-file`.
    case secret
    /// `rqlited openapi`: print the document of the API on standard output.
    case apiDocument
    /// Print `Build.versionLine` on standard error and exit with 0.
    case version
    /// Print on standard error and exit with 0.
    case help(String)
    /// Print on standard output and exit with 0: a file that is made of the table of flags.
    case generated(String)
    /// One line to print on standard error before exiting with the code.
    case failure(String, exitCode: Int32)

    /// What makes it `servePlugin`.
    package static let pluginServerArguments = ["disco", "serve-plugin"]

    /// `arguments` are without the program's name; `workingDirectory` completes a relative data
    /// directory.
    package static func parse(_ arguments: [String], workingDirectory: String) -> Invocation {
        guard !arguments.isEmpty else {
            return .failure(
                "failed to parse command-line flags: missing required argument: DataPath",
                exitCode: 1)
        }
        if arguments == pluginServerArguments { return .servePlugin }
        if let invocation = verb(arguments, workingDirectory) { return invocation }
        let flags: FlagParser.Result
        do {
            flags = try FlagParser.parse(arguments)
        } catch {
            switch error {
            case .helpRequested: return .help(Usage.text)
            case .invalid(let text): return .failure(text + "; see rqlited -help", exitCode: 2)
            }
        }
        if flags.boolean("version") { return .version }
        guard flags.positional.count <= 1 else {
            let extra = flags.positional.dropFirst().joined(separator: " ")
            return .failure(
                "arguments after data directory (\(flags.positional[0])) are not accepted "
                    + "([\(extra)])", exitCode: 1)
        }
        if let word = flags.positional.first, ["help", "version"].contains(word) {
            return .failure(
                "\(word) stands behind flags: rqlited \(word) prints what it names, and a data "
                    + "directory of that name is written ./\(word)", exitCode: 2)
        }
        do {
            return .run(try NodeSettings(flags, workingDirectory: workingDirectory))
        } catch {
            return .failure("fatal: " + error.text, exitCode: 1)
        }
    }

    /// Verbs stand first only: a data directory of that name is `./recover`.
    private static func verb(_ arguments: [String], _ workingDirectory: String) -> Invocation? {
        let rest = arguments.dropFirst()
        switch arguments[0] {
        case RecoverCommand.verb:
            if rest.count == 1, ["-h", "-help", "--help", "help"].contains(rest[1]) {
                return .help(RecoverCommand.usage)
            }
            do {
                return .recover(
                    try RecoverCommand(parsing: rest, workingDirectory: workingDirectory))
            } catch {
                return .failure(error.text, exitCode: 2)
            }
        case RestoreCommand.verb:
            if rest.count == 1, ["-h", "-help", "--help", "help"].contains(rest[1]) {
                return .help(RestoreCommand.usage)
            }
            do {
                return .restore(
                    try RestoreCommand(parsing: rest, workingDirectory: workingDirectory))
            } catch {
                return .failure(error.text, exitCode: 2)
            }
        case "disco": return DiscoveryCommand.parse(Array(rest))
        case AuthCommand.verb: return AuthCommand.parse(Array(rest))
        case "secret" where rest.isEmpty: return .secret
        case "secret": return unexpected(rest, behind: "secret")
        case "openapi" where rest.isEmpty: return .apiDocument
        case "openapi": return unexpected(rest, behind: "openapi")
        case "version" where rest.isEmpty: return .version
        case "help":
            switch Array(rest) {
            case []: return .help(Usage.text)
            case ["disco"]: return .help(DiscoveryCommand.usage)
            case [RecoverCommand.verb]: return .help(RecoverCommand.usage)
            case [RestoreCommand.verb]: return .help(RestoreCommand.usage)
            case [AuthCommand.verb]: return .help(AuthCommand.usage)
            default: return unexpected(rest, behind: "help")
            }
        case "version": return unexpected(rest, behind: "version")
        default:
            return GeneratedFile(argument: arguments[0], isAlone: rest.isEmpty)
                .map { .generated($0.text) }
        }
    }

    private static func unexpected(_ words: ArraySlice<String>, behind verb: String) -> Invocation {
        .failure(
            "rqlited \(verb) does not take \(words.joined(separator: " ")); a data directory of "
                + "that name is written ./\(verb)", exitCode: 2)
    }
}
