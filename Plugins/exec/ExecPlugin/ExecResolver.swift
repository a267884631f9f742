import Glibc
package import JSON
import PluginABI
package import PluginSupport

/// The `exec` mode: a command prints where the nodes are, one `host[:port]` in each line
/// (`AddressLines`), and ends with status 0.
package final class ExecResolver: WatchingResolver {
    private let configuration: ExecConfiguration

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try ExecConfiguration(arguments.config, environment: environment)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        let bytes = try run(call)
        let found = try AddressLines.parse(
            bytes, origin: "what \(configuration.command[0]) prints", port: configuration.port)
        return (found, StateToken.of(bytes))
    }

    /// Runs the command again and again. A run that fails is no change: what was found stays true
    /// until the command says otherwise, and `look` tells what is wrong.
    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        while true {
            do throws(Call.Interruption) {
                var nothing: [pollfd] = []
                let milliseconds = Int32(clamping: configuration.interval / 1_000_000)
                try call.poll(&nothing, milliseconds: milliseconds)
            } catch {
                switch error {
                case .deadline: throw CallFailure(RQD_TIMEOUT, "nothing else was printed")
                case .cancelled: throw CallFailure(RQD_CANCELLED, "the host gave the wait up")
                }
            }
            do throws(CallFailure) {
                let state = StateToken.of(try run(call))
                if state != token { return state }
            } catch {
                if error.code == RQD_CANCELLED { throw error }
            }
        }
    }

    package func describe() -> JSONValue {
        // Arguments may hold secrets.
        .object([
            .init("program", .string(configuration.command[0])),
            .init("port", .integer(configuration.port)),
        ])
    }

    private func run(_ call: Call) throws(CallFailure) -> [UInt8] {
        try ChildRun(configuration.command).output(
            call.limited(nanoseconds: configuration.timeout))
    }
}
