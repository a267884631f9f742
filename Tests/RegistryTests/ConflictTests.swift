import Cluster
import Raft
import Registry
import Testing

/// A registry whose reads and writes contradict each other, or that only lets itself be read.
@Suite struct ConflictTests {
    private struct Course {
        var writes = 0
        var said: [String] = []
        var isFinished = false
    }

    /// What a node that may found alone does where each look shows this record, and this comes of each write.
    private func course(
        showing record: StoredRecord?, for time: Duration,
        answering refusal: RegistryAnswer = .conflict
    ) -> Course {
        let introduction = FormationIntroduction(
            identity: NodeIdentity(
                id: NodeID("1"), incarnation: Incarnation(RandomID(high: 0, low: 1))),
            address: PeerAddress("10.0.0.1:4002"), suffrage: .voter, expect: 0)
        var machine = RegistryFormation(
            RegistryFormationSettings(introduction, apiURL: "http://10.0.0.1:4001", limit: nil),
            state: RegistryState(), freshID: RandomID(high: 0, low: 256), seed: 7)
        var course = Course()
        var now = Duration.zero
        while now < time {
            machine.tick(now)
            for effect in machine.takeEffects() {
                switch effect {
                case .ask(.read, let id, _): machine.answered(.record(record), to: id)
                case .ask(.list, let id, _): machine.answered(.records([]), to: id)
                case .ask(_, let id, _):
                    course.writes += 1
                    machine.answered(refusal, to: id)
                case .persist(_, let ticket): machine.persisted(ticket)
                case .waiting(let text): course.said.append(text)
                default: break
                }
            }
            now += .milliseconds(1)
        }
        course.isFinished = machine.isFinished
        return course
    }

    @Test func `A registry that refuses to make the entry that it does not show is not stormed`() {
        let course = course(showing: nil, for: .seconds(10))
        #expect((10...101).contains(course.writes))
        // Once, and not with each claim.
        #expect(course.said.count <= 6, "\(course.said)")
        #expect(
            course.said.last?.hasPrefix(
                "the registry refuses to make the leader entry that it does not show")
                == true, "\(course.said)")
        #expect(!course.isFinished)
    }

    /// For as long as nobody gives the node other rights, which may be days.
    @Test func `A registry that forbids writes is not stormed`() {
        let forbidden = RegistryAnswer.failed(RegistryFailure(.forbidden, "read only"))
        let course = course(showing: nil, for: .seconds(30), answering: forbidden)
        #expect((8...31).contains(course.writes), "\(course.writes)")
        #expect(!course.isFinished)
        let passing = RegistryAnswer.failed(RegistryFailure(.unavailable, "no leader"))
        #expect(self.course(showing: nil, for: .seconds(10), answering: passing).writes > 31)
    }

    @Test func `A registry that refuses to replace the entry that it shows is not stormed`() {
        let entry = LeaderEntry(
            id: NodeID("2"), apiURL: nil, address: PeerAddress("10.0.0.2:4002"),
            cluster: ClusterID(RandomID(high: 1, low: 1)), state: .forming,
            nonce: RandomID(high: 1, low: 2), term: .zero,
            founders: [
                Member(
                    id: NodeID("2"), incarnation: Incarnation(RandomID(high: 1, low: 3)),
                    address: PeerAddress("10.0.0.2:4002"), suffrage: .voter)
            ])
        let record = StoredRecord(
            name: RecordName.leader, value: entry.encoded(), revision: Revision([1]))
        // Its claim may be taken over after fifteen of them.
        let course = course(showing: record, for: .seconds(25))
        #expect((10...101).contains(course.writes))
        #expect(
            course.said.last?.hasPrefix(
                "the registry refuses to replace the leader entry at the revision")
                == true, "\(course.said)")
        #expect(!course.isFinished)
    }
}
