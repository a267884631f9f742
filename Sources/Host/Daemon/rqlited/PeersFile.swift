import Glibc
import JSON
import NodeLogic
import Raft
import Replica

/// `raft/peers.json` in the data directory, as rqlite's operators write it:
///
///     [{"id": "1", "address": "10.1.0.1:4002", "non_voter": false}, …]
///
/// `non_voter` may be left out; other members are ignored. The texts of what is wrong are rqlite's, with
/// the file's path behind them.
///
/// `raft/skip.json` beside it names a log entry that the members leave out, as `/status` does:
///
///     {"index": 7, "hash": 2557922510, "text": 0, "offset": 0}
///
/// Without `text` and `offset` all of the entry is left out. What `/status` says beside them of an entry
/// may stand there, too; another member is refused, for it may be one of these with a slip.
struct PeersFile {
    let recovery: PeersRecovery

    /// Large enough for any cluster.
    private static var sizeLimit: Int { 1 << 20 }

    /// Nil when the file is not there.
    init?(in directory: String) throws {
        let path = "\(directory)/raft/peers.json"
        guard let peers = try Self.read(path, "peers file", Self.peers) else { return nil }
        recovery = PeersRecovery(
            peers: peers, path: path, recordPath: "\(directory)/raft/peers.info",
            skip: try Self.read("\(directory)/raft/skip.json", "skip file", Self.skip))
    }

    /// Nil when the file is not there.
    private static func read<Content>(
        _ path: String, _ name: String, _ content: ([UInt8]) throws -> Content
    ) throws -> Content? {
        func failure(_ cause: String) -> Daemon.StartFailure {
            Daemon.StartFailure(
                description: "failed to open store: failed to read \(name): \(cause) (\(path))")
        }
        guard let file = fopen(path, "re") else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw failure(String(cString: strerror(errno)))
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: sizeLimit + 1)
        let count = fread(&bytes, 1, bytes.count, file)
        guard ferror(file) == 0 else { throw failure(String(cString: strerror(errno))) }
        guard count <= sizeLimit else { throw failure("it is longer than \(sizeLimit) bytes") }
        do {
            return try content(Array(bytes[..<count]))
        } catch {
            throw failure("\(error)")
        }
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

    /// What `/status` says of an entry beside what names it.
    private static let descriptions = [
        "state", "reason", "statement", "ends", "try_again", "skip",
    ]

    private static func skip(_ bytes: [UInt8]) throws -> NamedEntry {
        let document = try JSONValue(parsing: bytes)
        let names = ["index", "hash", "text", "offset"]
        for member in document.members ?? [] where !(names + descriptions).contains(member.name) {
            throw Invalid(
                description: "skip.json has \"\(member.name)\", which says nothing of an entry")
        }
        guard (document["text"] == nil) == (document["offset"] == nil) else {
            throw Invalid(description: "skip.json must have text and offset, or neither of them")
        }
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
        let index: UInt64 = try number("index", else: nil)
        guard index > 0 else {
            throw Invalid(description: "skip.json: the first entry of a log has index 1")
        }
        return NamedEntry(
            index: index, hash: try number("hash", else: nil),
            text: try number("text", else: 0), offset: try number("offset", else: 0))
    }

    /// As rqlite prints a server.
    private static func text(of peer: NamedPeer) -> String {
        "{\(peer.isVoter ? "Voter" : "Nonvoter") \(peer.id) \(peer.address)}"
    }
}
