import Glibc
import JSON
import NodeLogic
import Raft
import Replica

/// `raft/peers.json` in the data directory, as rqlite's operators write it:
///
///     [{"id": "1", "address": "10.1.0.1:4002", "non_voter": false}, …]
///
/// `non_voter` may be left out; other members are ignored. The texts of what is wrong are rqlite's.
///
/// `raft/skip.json` beside it names a log entry that the members leave out, as `/status` does:
///
///     {"index": 7, "hash": 2557922510, "text": 0, "offset": 0}
///
/// Without `text` and `offset` all of the entry is left out.
struct PeersFile {
    let recovery: PeersRecovery

    /// Large enough for any cluster.
    private static var sizeLimit: Int { 1 << 20 }

    /// Nil when the file is not there.
    init?(in directory: String) throws {
        let path = "\(directory)/raft/peers.json"
        guard let bytes = try Self.read(path) else { return nil }
        do {
            let peers = try Self.peers(bytes)
            recovery = PeersRecovery(
                peers: peers, path: path, recordPath: "\(directory)/raft/peers.info",
                skip: try Self.read("\(directory)/raft/skip.json").map(Self.skip))
        } catch {
            throw Self.failure("\(error)")
        }
    }

    private static func failure(_ cause: String) -> Daemon.StartFailure {
        Daemon.StartFailure(
            description: "failed to open store: failed to read peers file: \(cause)")
    }

    private static func read(_ path: String) throws -> [UInt8]? {
        guard let file = fopen(path, "re") else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure("\(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: sizeLimit + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0, count <= sizeLimit else {
            throw failure("\(path) can't be read, or is longer than \(sizeLimit) bytes")
        }
        return Array(bytes[..<count])
    }

    private struct Invalid: Error, CustomStringConvertible {
        var description: String
    }

    private static func peers(_ bytes: [UInt8]) throws -> [NamedPeer] {
        guard let entries = try JSONValue(parsing: bytes).array else {
            throw Invalid(description: "the file must hold a JSON array of nodes")
        }
        var peers: [NamedPeer] = []
        for entry in entries {
            let peer = try peer(entry)
            let id = peer.id.rawValue
            let address = peer.address.rawValue
            if id.isEmpty {
                throw Invalid(description: "empty ID in configuration: \(text(of: peer))")
            }
            if address.isEmpty {
                throw Invalid(description: "empty address in configuration: \(text(of: peer))")
            }
            if peers.contains(where: { $0.id == peer.id }) {
                throw Invalid(description: "found duplicate ID in configuration: \(id)")
            }
            if peers.contains(where: { $0.address == peer.address }) {
                throw Invalid(description: "found duplicate address in configuration: \(address)")
            }
            peers.append(peer)
        }
        guard peers.contains(where: \.isVoter) else {
            let list = peers.map(text(of:)).joined(separator: " ")
            throw Invalid(description: "need at least one voter in configuration: {[\(list)]}")
        }
        return peers
    }

    private static func peer(_ entry: JSONValue) throws -> NamedPeer {
        guard entry.members != nil else {
            throw Invalid(description: "each node must be a JSON object")
        }
        func text(_ name: String) throws -> String {
            guard let value = entry[name], value != .null else { return "" }
            guard let text = value.string else {
                throw Invalid(description: "\(name) must be a text")
            }
            return text
        }
        let nonVoter = entry["non_voter"] ?? false
        guard let isNonVoter = nonVoter == .null ? false : nonVoter.bool else {
            throw Invalid(description: "non_voter must be true or false")
        }
        return NamedPeer(
            id: NodeID(try text("id")), address: PeerAddress(try text("address")),
            isVoter: !isNonVoter)
    }

    private static func skip(_ bytes: [UInt8]) throws -> NamedEntry {
        let document = try JSONValue(parsing: bytes)
        func number<Number: FixedWidthInteger>(_ name: String, else missing: Number?) throws
            -> Number
        {
            guard let value = document[name] else {
                guard let missing else {
                    throw Invalid(description: "skip.json must name the entry's index and hash")
                }
                return missing
            }
            guard case .number(let text) = value, let number = Number(text) else {
                throw Invalid(description: "skip.json: \(name) must be a whole number")
            }
            return number
        }
        return NamedEntry(
            index: try number("index", else: nil), hash: try number("hash", else: nil),
            text: try number("text", else: 0), offset: try number("offset", else: 0))
    }

    /// As rqlite prints a server.
    private static func text(of peer: NamedPeer) -> String {
        "{\(peer.isVoter ? "Voter" : "Nonvoter") \(peer.id) \(peer.address)}"
    }
}
