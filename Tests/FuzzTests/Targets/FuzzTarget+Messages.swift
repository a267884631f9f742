import PeerProtocol
import Raft
import Service
import Wire

/// What nodes tell each other in frames. The first byte of an input says which.
extension FuzzTarget {
    static let messages = FuzzTarget(name: "messages", largestInput: 4096) {
        bytes throws(Complaint) in
        guard let first = bytes.first else { return }
        try PeerMessageKind.allCases[Int(first) % PeerMessageKind.allCases.count]
            .check(Array(bytes.dropFirst()))
    } seeds: {
        PeerMessageKind.allCases.flatMap { kind in
            kind.samples.enumerated().map {
                FuzzSeed("\(kind)-\($0)", [kind.rawValue] + $1)
            }
        }
    }
}

/// What is read of a frame, as it stands in its payload.
enum PeerMessageKind: UInt8, CaseIterable {
    case raft, request, answer, clientRequest, reply, introduction, logCommand, offer

    func check(_ bytes: [UInt8]) throws(Complaint) {
        switch self {
        case .raft:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Message(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .request:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try PeerRequest(from: &r)
            } encode: { request, writer in
                // One of a kind that is not known.
                if let request { request.encode(into: &writer) } else { writer.write(UInt8(0)) }
            }
        case .answer:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try PeerAnswer(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .clientRequest:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try ClientRequest(from: &r)
            } encode: {
                $0.encode(into: &$1, id: $0.id)
            }
        case .reply:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Reply(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .introduction:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try Introduction(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        case .logCommand:
            try RoundTrip.check(whole: bytes) { (b) throws(WireError) in
                try LogCommand(decoding: b)
            } encode: {
                $0.encoded()
            }
        case .offer:
            try RoundTrip.check(bytes) { (r) throws(WireError) in
                try SnapshotOffer(from: &r)
            } encode: {
                $0.encode(into: &$1)
            }
        }
    }
}
