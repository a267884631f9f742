package import NIOCore
import PeerProtocol
import Raft

/// Makes the handlers that encrypt connections. Called on event loops, for each connection anew.
package protocol ConnectionSecurity: Sendable {
    /// For a connection that was accepted; in their order.
    func acceptingHandlers() throws -> [any ChannelHandler]

    /// For a connection to a host, a name or an address; in their order.
    func dialingHandlers(host: String) throws -> [any ChannelHandler]

    /// Why the other end, once hands are shaken, must not speak as the node of that ID; nil: it may, or
    /// the connection is not encrypted.
    func objection(to node: String, on channel: any Channel) -> String?

    /// Why both ends did not come to terms, in words; `isClosed`: the other end went without a word;
    /// `isStranger`: its certificate is of the authorities, and yet not one that is asked for.
    func describe(_ error: any Error) -> (cause: String, isClosed: Bool, isStranger: Bool)
}

/// What of a node's connections is encrypted.
package struct TransportSecurity: Sendable {
    /// Connections between nodes; nil: none is.
    package var nodes: (any ConnectionSecurity)?
    /// While a cluster is being changed over: other nodes may speak in the clear too, and are spoken to
    /// so where they don't know better. It protects from nobody who can reach the network.
    package var nodesMayBePlain: Bool
    /// Those of clients; nil: none is, else all are.
    package var clients: (any ConnectionSecurity)?

    package init(
        nodes: (any ConnectionSecurity)? = nil, nodesMayBePlain: Bool = false,
        clients: (any ConnectionSecurity)? = nil
    ) {
        self.nodes = nodes
        self.nodesMayBePlain = nodesMayBePlain
        self.clients = clients
    }

    /// Why the other end of a connection must not be taken for the node; nil: it may, see
    /// `ConnectionSecurity.objection`.
    func objection(to node: NodeID, on channel: any Channel) -> String? {
        nodes?.objection(to: node.rawValue, on: channel)
    }

    /// What TLS finds wrong, as an error of the connection.
    static func failure(
        _ error: any Error, of security: any ConnectionSecurity, address: String
    ) -> TransportError {
        let plain = TransportError(error, address: address)
        guard plain.reason == .other else { return plain }
        let (cause, isClosed, _) = security.describe(error)
        return TransportError(
            isClosed ? .connectionLost : .other, address: address, cause: "TLS: \(cause)")
    }

    /// What nodes say to each other by ALPN (RFC 7301). A port takes nodes and clients, and shows each
    /// of them the certificate that is meant for them.
    package static let nodeProtocol = "rqlited-node"
}

/// The first record of a connection that begins with TLS: u8 0x16 | u16 version | u16 length | content.
enum ClientHello {
    /// What it says of who speaks.
    enum Speaker {
        case node
        case client
        /// More bytes are needed to tell.
        case unknown
    }

    private static let header = 5
    /// RFC 8446 §5.1.
    private static let longest = 1 << 14

    /// Whether it offers the nodes' protocol. Of what is no hello, or not whole in its first record, the name counts
    /// wherever it stands: who writes it there must then show what a node shows.
    static func speaker(in bytes: ByteBuffer) -> Speaker {
        guard let length = bytes.getInteger(at: bytes.readerIndex + 3, as: UInt16.self) else {
            return .unknown
        }
        let end = header + min(Int(length), longest)
        guard bytes.readableBytes >= end else { return .unknown }
        let name = Array(TransportSecurity.nodeProtocol.utf8)
        let record = Array(bytes.readableBytesView.prefix(end))
        // A host may have that name, too, and clients say which one they want.
        guard let offered = protocols(in: record[header...]) else {
            return contains([UInt8(name.count)] + name, in: record) ? .node : .client
        }
        return offered.contains { $0.elementsEqual(name) } ? .node : .client
    }

    private static func contains(_ field: [UInt8], in record: [UInt8]) -> Bool {
        guard record.count >= field.count else { return false }
        return (0...(record.count - field.count)).contains { start in
            record[start] == field[0]
                && record[start..<(start + field.count)].elementsEqual(field)
        }
    }

    /// What a hello offers by ALPN (RFC 8446 §4.1.2, RFC 7301 §3.1); nil: it is none, or not whole.
    private static func protocols(in message: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
        var rest = message
        // Its kind and length, a version and 32 bytes of chance; then a session, ciphers and compressions.
        guard rest.first == 1, rest.take(38) != nil, rest.takeCounted(by: 1) != nil,
            rest.takeCounted(by: 2) != nil, rest.takeCounted(by: 1) != nil
        else { return nil }
        if rest.isEmpty { return [] }
        guard var extensions = rest.takeCounted(by: 2) else { return nil }
        while !extensions.isEmpty {
            guard let kind = extensions.take(2), var content = extensions.takeCounted(by: 2) else {
                return nil
            }
            guard kind.elementsEqual([0, 16]) else { continue }
            guard var list = content.takeCounted(by: 2) else { return nil }
            var names: [ArraySlice<UInt8>] = []
            while !list.isEmpty {
                guard let name = list.takeCounted(by: 1) else { return nil }
                names.append(name)
            }
            return names
        }
        return []
    }
}

extension ArraySlice<UInt8> {
    /// Takes so many bytes off the front; nil: there are fewer.
    fileprivate mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard self.count >= count else { return nil }
        defer { removeFirst(count) }
        return prefix(count)
    }

    /// Takes off what a length before it counts, which has so many bytes itself.
    fileprivate mutating func takeCounted(by size: Int) -> ArraySlice<UInt8>? {
        guard let length = take(size) else { return nil }
        return take(length.reduce(0) { $0 << 8 | Int($1) })
    }
}
