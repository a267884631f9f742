import PluginABI
import Threads
import Time
import Wire

/// What goes between a node and the process that runs a plugin for it, over a stream socket. Neither
/// side trusts the other: lengths are checked before memory is allocated, and whatever is not as
/// below ends the connection, and with it the process.
///
///     offset  size  content of a frame; integers are little-endian
///          0     4  length of what follows: 9 to 1 MiB
///          4     8  number of the call that it belongs to, from 1; 0 for none
///         12     1  kind
///         13     …  payload; texts and byte strings have their length in 4 bytes before them
///
///     kind  from   payload
///        1  node   a piece of the configuration, byte string; before `start`, any number of them
///        2  node   start: path, mode, key, node ID, instance, Raft address, API URL, the node's
///                  version, texts
///        3  node   call: function (1), deadline in ns of CLOCK_MONOTONIC (8), and by function:
///                  1 resolve –; 2 read name; 3 write name, expected, value; 4 erase name, expected;
///                  5 list prefix; 6 wait name, token; 7 describe –; 8 update flags (4), changed
///                  flags (4), node ID, Raft address, API URL, health
///        4  node   cancel –: the call of this number
///        5  node   stop –: destroy the instance
///       16  child  address: host, port (2), priority (4), weight (4), TTL in s (4), source
///       17  child  record: name, value, revision
///       18  child  token, byte string
///       19  child  text of a description
///       20  child  message: what explains the status to come, text
///       21  child  violation: what the plugin handed over and must not, text
///       22  child  returned: status (4); nothing more comes for this call. After `start`: 0
///       23  child  log: level (4), text
///       24  child  loaded: id, version, vendor, licence, texts; the first answer to `start`
///       25  child  failed: code (4), text; nothing more comes for this call
///
/// Both ends are one program, started from one file, so there is no version to agree on. A call's
/// results come one a frame: a thousand records are no larger than one.
struct PluginFrame: Equatable, Sendable {
    enum Content: Equatable, Sendable {
        case config([UInt8])
        case start(PluginOrder)
        case call(PluginRequest, deadline: MonotonicTime)
        case cancel
        case stop
        case address(DiscoveredAddress)
        case record(RegistryRecord)
        case token([UInt8])
        case text(String)
        case message(String)
        case violation(String)
        case returned(Int32)
        case log(Int32, String)
        case loaded(PluginIdentity)
        case failed(code: Int32, String)
    }

    static let lengthRange = 9...(1 << 20)
    /// Of the configuration, in one frame.
    static let configPiece = 256 << 10

    var call: UInt64
    var content: Content
}

/// What a process is to start, besides the configuration.
struct PluginOrder: Equatable, Sendable {
    var path: String
    var mode: String
    var key: String
    var nodeID: String
    /// Tells instances apart in logs.
    var instance: String
    var raftAddress: String
    var apiURL: String
    var hostVersion: String
}

/// What a plugin says of itself; known once it is loaded.
package struct PluginIdentity: Equatable, Sendable {
    /// The plugin's own name for itself.
    package let id: String
    /// The plugin's own.
    package let version: String
    /// Empty if the plugin doesn't say.
    package let vendor: String
    /// As SPDX names it; empty if the plugin doesn't say.
    package let license: String
}

extension PluginFrame {
    /// The frame as it goes over the wire, its length included.
    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: 64)
        writer.write(UInt32(0))
        writer.write(call)
        writer.write(content.kind)
        content.write(to: &writer)
        writer.overwrite(UInt32(writer.count - 4), at: 0)
        return writer.bytes
    }

    /// Reads what stands behind the length.
    init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        call = try reader.read()
        content = try Content(from: &reader)
        try reader.expectEnd()
    }
}

extension PluginFrame.Content {
    fileprivate var kind: UInt8 {
        switch self {
        case .config: 1
        case .start: 2
        case .call: 3
        case .cancel: 4
        case .stop: 5
        case .address: 16
        case .record: 17
        case .token: 18
        case .text: 19
        case .message: 20
        case .violation: 21
        case .returned: 22
        case .log: 23
        case .loaded: 24
        case .failed: 25
        }
    }

    fileprivate func write(to writer: inout ByteWriter) {
        switch self {
        case .cancel, .stop: break
        case .config(let bytes), .token(let bytes): writer.write(bytes)
        case .text(let text), .message(let text), .violation(let text): writer.write(text)
        case .start(let order):
            for text in [
                order.path, order.mode, order.key, order.nodeID, order.instance,
                order.raftAddress, order.apiURL, order.hostVersion,
            ] { writer.write(text) }
        case .call(let request, let deadline): request.write(to: &writer, deadline: deadline)
        case .address(let address):
            writer.write(address.host)
            writer.write(address.port)
            writer.write(address.priority)
            writer.write(address.weight)
            writer.write(UInt32(clamping: address.timeToLive?.components.seconds ?? 0))
            writer.write(address.source)
        case .record(let record):
            writer.write(record.name)
            writer.write(record.value)
            writer.write(record.revision)
        case .returned(let status): writer.write(status)
        case .log(let number, let text), .failed(let number, let text):
            writer.write(number)
            writer.write(text)
        case .loaded(let identity):
            for text in [identity.id, identity.version, identity.vendor, identity.license] {
                writer.write(text)
            }
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(WireError) {
        let kind = try reader.readByte()
        switch kind {
        case 1: self = .config(try reader.readBytes())
        case 2:
            self = .start(
                PluginOrder(
                    path: try reader.readText(), mode: try reader.readText(),
                    key: try reader.readText(), nodeID: try reader.readText(),
                    instance: try reader.readText(), raftAddress: try reader.readText(),
                    apiURL: try reader.readText(), hostVersion: try reader.readText()))
        case 3:
            let (request, deadline) = try PluginRequest.read(from: &reader)
            self = .call(request, deadline: deadline)
        case 4: self = .cancel
        case 5: self = .stop
        case 16:
            let host = try reader.readText()
            let port: UInt16 = try reader.read()
            let (priority, weight): (UInt32, UInt32) = (try reader.read(), try reader.read())
            let seconds: UInt32 = try reader.read()
            self = .address(
                DiscoveredAddress(
                    host: host, port: port, priority: priority, weight: weight,
                    timeToLive: seconds == 0 ? nil : .seconds(Int64(seconds)),
                    source: try reader.readText()))
        case 17:
            self = .record(
                RegistryRecord(
                    name: try reader.readText(), value: try reader.readBytes(),
                    revision: try reader.readBytes()))
        case 18: self = .token(try reader.readBytes())
        case 19: self = .text(try reader.readText())
        case 20: self = .message(try reader.readText())
        case 21: self = .violation(try reader.readText())
        case 22: self = .returned(try reader.read())
        case 23: self = .log(try reader.read(), try reader.readText())
        case 24:
            self = .loaded(
                PluginIdentity(
                    id: try reader.readText(), version: try reader.readText(),
                    vendor: try reader.readText(), license: try reader.readText()))
        case 25: self = .failed(code: try reader.read(), try reader.readText())
        default: throw .invalid(field: "kind of frame", value: UInt64(kind))
        }
    }
}

extension PluginRequest {
    fileprivate func write(to writer: inout ByteWriter, deadline: MonotonicTime) {
        func begin(_ function: UInt8) {
            writer.write(function)
            writer.write(deadline.nanoseconds)
        }
        switch self {
        case .start: preconditionFailure("a start is a frame of its own")
        case .resolve: begin(1)
        case .read(let name):
            begin(2)
            writer.write(name)
        case .write(let name, let expected, let value):
            begin(3)
            writer.write(name)
            writer.write(expected)
            writer.write(value)
        case .erase(let name, let expected):
            begin(4)
            writer.write(name)
            writer.write(expected)
        case .list(let prefix):
            begin(5)
            writer.write(prefix)
        case .wait(let name, let token):
            begin(6)
            writer.write(name)
            writer.write(token)
        case .describe: begin(7)
        case .update(let node, let changed):
            begin(8)
            writer.write(node.flags.rawValue)
            writer.write(changed.rawValue)
            for text in [node.nodeID, node.raftAddress, node.apiURL, node.health] {
                writer.write(text)
            }
        }
    }

    fileprivate static func read(
        from reader: inout ByteReader
    ) throws(WireError) -> (PluginRequest, MonotonicTime) {
        let function = try reader.readByte()
        let deadline = MonotonicTime(nanoseconds: max(try reader.read(), 1))
        switch function {
        case 1: return (.resolve, deadline)
        case 2: return (.read(name: try reader.readText()), deadline)
        case 3:
            let name = try reader.readText()
            let (expected, value) = (try reader.readBytes(), try reader.readBytes())
            return (.write(name: name, expected: expected, value: value), deadline)
        case 4:
            return (
                .erase(name: try reader.readText(), expected: try reader.readBytes()), deadline
            )
        case 5: return (.list(prefix: try reader.readText()), deadline)
        case 6:
            return (.wait(name: try reader.readText(), token: try reader.readBytes()), deadline)
        case 7: return (.describe, deadline)
        case 8:
            let (flags, changed): (UInt32, UInt32) = (try reader.read(), try reader.read())
            let node = PluginNode(
                flags: PluginNode.Flags(rawValue: flags), nodeID: try reader.readText(),
                raftAddress: try reader.readText(), apiURL: try reader.readText(),
                health: try reader.readText())
            return (.update(node, changed: PluginNode.Flags(rawValue: changed)), deadline)
        default: throw .invalid(field: "function", value: UInt64(function))
        }
    }
}
