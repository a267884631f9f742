import Raft
import Simulator
import Wire

@testable import WriteAheadLog

/// Makes logs, entries and metadata for the tests of this module.
typealias SimulatedLog = SegmentedLog<SimulatedDisk>

let boot = RandomID(high: 0xB007, low: 1)
let nextBoot = RandomID(high: 0xB007, low: 2)
let smallLimits = LogLimits(segmentBytes: 4096, maxBatchBytes: 1 << 20)

func openLog(
    _ disk: SimulatedDisk, bootID: RandomID = boot, limits: LogLimits = smallLimits
) throws(LogError) -> SimulatedLog {
    try SimulatedLog.open(on: disk, directory: "/data/log", limits: limits, bootID: bootID)
}

func entry(_ index: UInt64, term: UInt64 = 1, _ payload: Payload = .command([1, 2, 3])) -> Entry {
    Entry(index: LogIndex(index), term: Term(term), payload: payload)
}

func entries(_ range: ClosedRange<UInt64>, term: UInt64 = 1, size: Int = 8) -> [Entry] {
    range.map {
        entry($0, term: term, .command([UInt8](repeating: UInt8($0 % 251), count: size)))
    }
}

func position(_ index: UInt64, term: UInt64 = 1) -> LogPosition {
    LogPosition(index: LogIndex(index), term: Term(term))
}

func membership(_ names: String...) -> Membership {
    Membership(
        names.map {
            Member(
                id: NodeID($0), incarnation: Incarnation(RandomID(high: 7, low: 7)),
                address: PeerAddress("\($0):4002"), suffrage: .voter)
        })
}

func cluster(_ number: UInt64) -> ClusterID { ClusterID(RandomID(high: 0, low: number)) }

let identity = NodeIdentity(
    id: NodeID("n1"), incarnation: Incarnation(RandomID(high: 1, low: 2)))

/// Everything a node keeps besides entries.
let allMetadata: [MetadataRecord] = [
    .identity(identity), .cluster(cluster(3)), .generation(4), .abandoned(cluster(1)),
    .abandoned(cluster(2)), .formation([9, 9, 9]), .registry([8, 8]),
    .bootstrapMembership(membership("n1", "n2")),
]

let vote = HardState(
    term: Term(5),
    votedFor: HardState.Vote(
        candidate: NodeID("n2"), incarnation: Incarnation(RandomID(high: 3, low: 4))))

func segmentPath(_ number: UInt64) -> String {
    "/data/log/" + SegmentHeader.fileName(number)
}
