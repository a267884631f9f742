import Cluster
import Raft
import Registry
import Wire

/// Records that anybody may have written into a registry, what a node keeps of them, and revisions
/// that operators type. The first byte of an input says which.
extension FuzzTarget {
    static let registry = FuzzTarget(name: "registry", largestInput: 8192) {
        bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch first % 4 {
        case 0: try RegistryCheck.node(rest)
        case 1: try RegistryCheck.leader(rest)
        case 2: try RegistryCheck.state(rest)
        default: try RegistryCheck.revision(rest)
        }
    } seeds: {
        let node = NodeRecord(
            identity: Samples.identity, cluster: Samples.cluster, address: Samples.address(1),
            apiURL: "http://h1:4001", suffrage: .voter, expect: 3)
        let entry = LeaderEntry(
            id: NodeID("1"), apiURL: "http://h1:4001", address: Samples.address(1),
            cluster: Samples.cluster, state: .formed, nonce: RandomID(high: 1, low: 2),
            term: Term(3), founders: Samples.bootstrap.members)
        let state = RegistryState(
            claim: .init(nonce: RandomID(high: 1, low: 2), value: Samples.bootstrap),
            founding: Samples.bootstrap)
        let foreign = #"{"id":"1","api_addr":"http://h1:4001","addr":"h1:4002"}"#
        return [
            FuzzSeed("node", [0] + node.encoded()), FuzzSeed("leader", [1] + entry.encoded()),
            FuzzSeed("foreign", [1] + Array(foreign.utf8)),
            FuzzSeed("state", [2] + state.encoded()),
            FuzzSeed("revision", [3] + Array("0x00ff".utf8)),
            FuzzSeed("readable revision", [3] + Array("1234".utf8)),
        ]
    }
}

private enum RegistryCheck {
    static func node(_ bytes: [UInt8]) throws(Complaint) {
        let record: NodeRecord
        do throws(RecordError) { record = try NodeRecord(parsing: bytes) } catch {
            return try judge(error)
        }
        do throws(RecordError) {
            let again = try NodeRecord(parsing: record.encoded())
            guard again != record || again.encoded() != record.encoded() else { return }
        } catch {
            throw Complaint("\(record) can't be read again: \(error)")
        }
        throw Complaint("\(record) is another when it is read again")
    }

    static func leader(_ bytes: [UInt8]) throws(Complaint) {
        switch LeaderContent(parsing: bytes) {
        case .foreign: break
        case .unreadable(let reason):
            try Complaint.unless(!reason.isEmpty && reason.utf8.count < 400, "reason \(reason)")
        case .entry(let entry):
            let again = LeaderContent(parsing: entry.encoded())
            try Complaint.unless(again == .entry(entry), "\(entry) became \(again)")
        }
    }

    static func state(_ bytes: [UInt8]) throws(Complaint) {
        var bytes = bytes
        Checksums.mendEnd(&bytes)
        try RoundTrip.check(whole: bytes) { (b) throws(WireError) in
            try RegistryState(decoding: b)
        } encode: {
            $0.encoded()
        }
    }

    static func revision(_ bytes: [UInt8]) throws(Complaint) {
        if let typed = Revision(String(decoding: bytes, as: UTF8.self)) {
            try Complaint.unless(
                Revision(typed.description) == typed, "revision \(typed) is typed in two ways")
        }
        guard (1...64).contains(bytes.count) else { return }
        let stored = Revision(bytes)
        try Complaint.unless(
            Revision(stored.description) == stored, "revision \(bytes) can't be typed")
    }

    /// The text never repeats the record.
    private static func judge(_ error: RecordError) throws(Complaint) {
        try Complaint.unless(
            error.description.utf8.count < 400, "\(error.description.utf8.count) bytes of reason")
    }
}
