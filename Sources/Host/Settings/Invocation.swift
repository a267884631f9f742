/// What a command line asks for. Nothing is touched to find out: the caller prints, exits or runs.
package enum Invocation: Equatable, Sendable {
    case run(NodeSettings)
    /// Look at discovery and exit.
    case discovery(DiscoveryCommand)
    /// Serve a plugin to the daemon that started this process; no operator types that.
    case servePlugin
    /// `rqlited recover …`: look at a stopped node's data, or make it go on alone.
    case recover(RecoverCommand)
    /// Print `Build.versionLine` on standard error and exit with 0.
    case version
    /// Print on standard error and exit with 0.
    case help(String)
    /// Print on standard error and exit with the code.
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
        // Verbs stand first only: a data directory of that name is `./recover`.
        if arguments[0] == RecoverCommand.verb {
            do {
                return .recover(
                    try RecoverCommand(
                        parsing: arguments.dropFirst(), workingDirectory: workingDirectory))
            } catch {
                return .failure(error.text, exitCode: 2)
            }
        }
        if arguments[0] == "disco" { return DiscoveryCommand.parse(Array(arguments.dropFirst())) }
        let flags: FlagParser.Result
        do {
            flags = try FlagParser.parse(arguments)
        } catch {
            switch error {
            case .helpRequested: return .help(Usage.text)
            case .invalid(let text): return .failure(text + "\n" + Usage.text, exitCode: 2)
            }
        }
        if flags.boolean("version") { return .version }
        guard flags.positional.count <= 1 else {
            let extra = flags.positional.dropFirst().joined(separator: " ")
            return .failure(
                "arguments after data directory (\(flags.positional[0])) are not accepted "
                    + "([\(extra)])", exitCode: 1)
        }
        do {
            return .run(try NodeSettings(flags, workingDirectory: workingDirectory))
        } catch {
            return .failure("fatal: " + error.text, exitCode: 1)
        }
    }
}
