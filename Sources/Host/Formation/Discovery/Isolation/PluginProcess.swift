import CPlatform
import Glibc

/// How to start the program that serves a plugin in a process of its own: it must call
/// `PluginServer.run`.
package struct PluginProcess: Equatable, Sendable {
    /// Path of the program. The one that runs is `/proc/self/exe`, even if its file was replaced.
    package var executable: String
    /// Without the name.
    package var arguments: [String]
    /// What it gets of the environment; nil: all of it.
    package var variables: PluginVariables?

    package init(
        executable: String = "/proc/self/exe", arguments: [String],
        variables: PluginVariables? = nil
    ) {
        self.executable = executable
        self.arguments = arguments
        self.variables = variables
    }

    /// Starts it with `channel` as its descriptor 3 and nothing else of ours. The calling thread must
    /// live as long as the process, for the kernel kills it with that thread.
    /// - Parameters:
    ///   - mode: of the plugin; the list of processes shows it.
    ///   - config: of the plugin, which may name variables that it needs.
    func spawn(mode: String, config: [UInt8], channel: Int32) throws(PluginError) -> Int32 {
        var words = (["rqlited: disco \(mode)"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var environment =
            variables.map { variables in
                variables.chosen(
                    from: PluginVariables.ofThisProcess, mode: mode, config: config
                ).map { strdup($0) } + [nil]
            } ?? []
        defer { for entry in environment { free(entry) } }
        let pid =
            environment.isEmpty
            ? cplatform_spawn(executable, &words, nil, channel)
            : cplatform_spawn(executable, &words, &environment, channel)
        guard pid > 0 else {
            throw PluginError(
                .unavailable,
                "no process for the plugin: \(executable): \(String(cString: strerror(-pid)))")
        }
        return pid
    }
}

/// How a process ended.
enum ProcessEnd: Equatable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    /// From what `waitpid` gives.
    init(status: Int32) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited(status >> 8 & 0xFF) : .signalled(signal)
    }

    var description: String {
        switch self {
        case .exited(let code): "ended with exit status \(code)"
        case .signalled(let number):
            "was ended by "
                + (cplatform_signal_name(number).map { "SIG" + String(cString: $0) }
                    ?? "signal \(number)")
        }
    }
}
