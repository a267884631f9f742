import PluginABI
package import PluginSupport

/// What the `exec` mode is told.
///
///     command   the program's absolute path and its arguments, as a list: no shell reads them
///     timeout   of one run; default "10s"
///     interval  between two runs that look for a change; default "10s"
///     port      port of the lines without one; default 0: the asking node's own Raft port
package struct ExecConfiguration: Equatable, Sendable {
    package var command: [String]
    /// Nanoseconds.
    package var timeout: UInt64
    /// Nanoseconds.
    package var interval: UInt64
    package var port: UInt16

    package static let schema = """
        {"type":"object","additionalProperties":false,"required":["command"],"properties":{\
        "command":{"type":"array","minItems":1,"items":{"type":"string"}},\
        "timeout":{"type":["string","integer"],"default":"10s"},\
        "interval":{"type":["string","integer"],"default":"10s"},\
        "port":{"type":"integer","minimum":0,"maximum":65535,"default":0}}}
        """

    private static let usual: UInt64 = 10_000_000_000

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        command = try configuration.strings("command")
        let timeout = try configuration.nanoseconds("timeout")
        self.timeout = timeout == 0 ? Self.usual : timeout
        let interval = try configuration.nanoseconds("interval")
        self.interval = interval == 0 ? Self.usual : interval
        port = UInt16(try configuration.integer("port", in: 0...65535))
        try configuration.finish()
        // The search path of a service is nobody's.
        guard let program = command.first, program.hasPrefix("/"),
            !command.contains(where: { $0.utf8.contains(0) })
        else {
            throw configuration.wrong(
                "command", "a list: the absolute path of a program, and its arguments")
        }
    }
}
