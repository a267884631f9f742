import Glibc
package import JSON
import PluginABI
package import PluginSupport

/// The `file` mode: the nodes stand in a file, one `host[:port]` in each line (`AddressLines`).
///
/// The file may appear after the node has started, and change at any time: rewritten, replaced by
/// renaming, or behind a link that is turned, as Kubernetes does with a ConfigMap.
package final class FileResolver: WatchingResolver {
    /// How often the file is looked at when nothing tells of a change: for other machines' file
    /// systems, links that lead to other folders, and folders that don't exist yet. In milliseconds.
    private static let glance: Int32 = 1_000
    /// After a change in the folder, so that a file that is being written is read once. In
    /// milliseconds.
    private static let settling: Int32 = 20

    private let configuration: FileConfiguration

    package init(
        _ arguments: InstanceArguments, environment: (String) -> String?
    ) throws(CallFailure) {
        configuration = try FileConfiguration(arguments.config, environment: environment)
    }

    package func look(_ call: Call) throws(CallFailure) -> (found: [FoundAddress], token: [UInt8]) {
        let bytes = try read()
        let found = try AddressLines.parse(
            bytes, origin: configuration.path, port: configuration.port)
        return (found, StateToken.of(bytes))
    }

    package func wait(token: [UInt8], _ call: Call) throws(CallFailure) -> [UInt8]? {
        // Watched before it is read, so that no change falls in between.
        var watch = FolderWatch(configuration.folder)
        while true {
            let state = state()
            guard state == token else { return state }
            do throws(Call.Interruption) {
                if try watch.wait(call, atMost: Self.glance) {
                    var nothing: [pollfd] = []
                    try call.poll(&nothing, milliseconds: Self.settling)
                }
            } catch {
                switch error {
                case .deadline:
                    throw CallFailure(RQD_TIMEOUT, "\(configuration.path) did not change")
                case .cancelled: throw CallFailure(RQD_CANCELLED, "the host gave the wait up")
                }
            }
        }
    }

    package func describe() -> JSONValue {
        .object([
            .init("path", .string(configuration.path)), .init("port", .integer(configuration.port)),
        ])
    }

    /// What can't be read is a state too: that of an absent file differs from any content's.
    private func state() -> [UInt8] {
        do throws(CallFailure) { return StateToken.of(try read()) } catch { return [0] }
    }

    private func read() throws(CallFailure) -> [UInt8] {
        let path = configuration.path
        // Not blocking, for it may be a pipe that nobody writes to.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            throw CallFailure(RQD_UNAVAILABLE, "\(path) can't be read: \(Self.reason(errno))")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw CallFailure(RQD_UNAVAILABLE, "\(path) is no regular file")
        }
        var bytes = [UInt8](repeating: 0, count: AddressLines.mostBytes + 1)
        var length = 0
        while length < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress?.advanced(by: length), $0.count - length)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw CallFailure(RQD_UNAVAILABLE, "\(path) can't be read: \(Self.reason(errno))")
            }
            if count == 0 { break }
            length += count
        }
        guard length <= AddressLines.mostBytes else {
            throw CallFailure(
                RQD_PROTOCOL, "\(path) has more than \(AddressLines.mostBytes) bytes")
        }
        return Array(bytes[..<length])
    }

    private static func reason(_ number: Int32) -> String { String(cString: strerror(number)) }
}
