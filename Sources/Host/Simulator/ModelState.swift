import Raft

/// What a client asks of the state machine.
package enum ModelCommand: Equatable, Sendable {
    case write(key: Int, value: UInt64)
    case append(UInt64)

    /// Kind, key, value, and bytes without a meaning that make entries of different sizes.
    func encoded(padding: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(10 + padding)
        let value: UInt64
        switch self {
        case .write(let key, let number):
            bytes += [0, UInt8(key)]
            value = number
        case .append(let number):
            bytes += [1, 0]
            value = number
        }
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
        for _ in 0..<padding { bytes.append(0xAA) }
        return bytes
    }

    init?(decoding bytes: [UInt8]) {
        guard bytes.count >= 10 else { return nil }
        var value: UInt64 = 0
        for i in (2..<10).reversed() { value = value << 8 | UInt64(bytes[i]) }
        self = bytes[0] == 0 ? .write(key: Int(bytes[1]), value: value) : .append(value)
    }
}

/// A small state machine in the place of the database: registers, a list, and a digest of all that
/// was applied, in order. It knows its own position and membership, as the database does.
struct ModelState: Equatable {
    static let keyCount = 3

    var position = LogPosition.zero
    var membership = Membership()
    var membershipIndex = LogIndex.zero
    var registers: [UInt64] = Array(repeating: 0, count: keyCount)
    var list: [UInt64] = []
    var digest: UInt64 = 0

    var mark: SnapshotMark {
        SnapshotMark(
            position: position, membership: membership, membershipIndex: membershipIndex)
    }

    mutating func apply(_ entry: Entry) {
        position = entry.position
        digest = Digest.combine(digest, Digest.of(entry))
        switch entry.payload {
        case .noop: break
        case .membership(let membership):
            self.membership = membership
            membershipIndex = entry.index
        case .command(let bytes):
            switch ModelCommand(decoding: bytes) {
            case .write(let key, let value): registers[key] = value
            case .append(let value): list.append(value)
            case nil: break
            }
        }
    }
}

/// A database file: a process that ends leaves it as it is; a power cut takes it back to any point
/// after its last finished checkpoint.
struct ModelDatabase {
    let generation: UInt64
    private(set) var live: ModelState
    private(set) var checkpoint: ModelState
    private(set) var sinceCheckpoint: [Entry] = []

    init(generation: UInt64, state: ModelState) {
        self.generation = generation
        live = state
        checkpoint = state
    }

    mutating func apply(_ entry: Entry) {
        live.apply(entry)
        sinceCheckpoint.append(entry)
    }

    mutating func finishCheckpoint() {
        checkpoint = live
        sinceCheckpoint = []
    }

    /// - Returns: whether anything was lost.
    mutating func losePower(_ random: inout SeededGenerator) -> Bool {
        let kept = sinceCheckpoint.prefix(random.below(sinceCheckpoint.count + 1))
        let isLoss = kept.count < sinceCheckpoint.count
        live = checkpoint
        for entry in kept { live.apply(entry) }
        finishCheckpoint()
        return isLoss
    }

    /// Takes what was not applied for applied.
    mutating func pretend(_ position: LogPosition) { live.position = position }
}

/// Digests that are the same in every run, which `Hasher` is not.
enum Digest {
    static func combine(_ digest: UInt64, _ value: UInt64) -> UInt64 {
        var bits = (digest ^ value) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 29) &+ digest &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 32
    }

    static func of(_ entry: Entry) -> UInt64 {
        var digest = combine(entry.index.rawValue, entry.term.rawValue)
        switch entry.payload {
        case .noop: digest = combine(digest, 1)
        case .command(let bytes):
            digest = combine(digest, 2)
            for byte in bytes.prefix(10) { digest = combine(digest, UInt64(byte)) }
            digest = combine(digest, UInt64(bytes.count))
        case .membership(let membership):
            digest = combine(digest, 3)
            for member in membership.members {
                digest = combine(digest, member.incarnation.id.high)
                digest = combine(digest, UInt64(member.suffrage.rawValue))
            }
        }
        return digest
    }
}
