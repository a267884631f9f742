import PeerProtocol
import Raft
import Service
import Time

/// Requests whose answers other nodes give: who the members are (`/nodes`, `/leader`), and whether
/// this node is ready (`/readyz`).
struct Enquiries {
    /// A survey of members, each asked who it is.
    struct Survey {
        var key: RequestKey
        var begun: MonotonicTime
        var leader: NodeID?
        /// One member was asked for, not a list.
        var isOfLeader: Bool
        var expected: Int
        var found: [NodeDescription] = []
    }

    private struct Question {
        var survey: UInt64
        var member: Member
        var isOfLeader: Bool
    }

    /// Of readiness, by the word of the leader.
    struct Check {
        var pending: PendingRequest
        var sync: Bool
        var leader: NodeID
        /// Its client has not gone.
        var isWanted = true
    }

    // Each question takes a connection, and stays open when the client has gone: a member that is switched off
    // or stands still answers none, and clients come again.

    /// Members that may be asked at a time for lists; a survey that is begun asks all of its own. Clients ask for
    /// lists by the hundred when a leader is lost: so these are more where descriptors allow it, but no more than
    /// a member bears that stood still and takes them all at once.
    /// - Parameter connections: that may be accepted; of more than some 18,000 most are never taken.
    static func mostQuestions(besides connections: Int) -> Int {
        min(max(256, connections / 64), 1024)
    }
    /// Questions who it is that may wait for one leader at a time, and twice as many for all: who waits for one
    /// that is gone must not keep others from the one that leads now.
    static let mostOfLeader = 64
    /// The same of checks.
    static let mostChecks = 128
    /// Nobody is waited for any longer, whatever the client says.
    static let longestQuestion = Duration.seconds(60)

    private var surveys: [UInt64: Survey] = [:]
    private var members: [PeerCallID: Question] = [:]
    /// Readiness checks that wait for the leader's word.
    private var checks: [PeerCallID: Check] = [:]
    private var lastSurvey: UInt64 = 0
    /// Members that this node described by itself, for it is one of them.
    private(set) var ownDescriptions = 0

    /// Whether no survey may begin.
    /// - Parameters:
    ///   - leader: who alone is asked who it is; nil: a list is asked for.
    ///   - connections: see `mostQuestions`.
    func hasMostQuestions(of leader: NodeID?, besides connections: Int) -> Bool {
        let most =
            leader == nil ? Self.mostQuestions(besides: connections) : Self.mostOfLeader
        // As a rule.
        guard members.count >= most else { return false }
        guard let leader else { return members.values.count { !$0.isOfLeader } >= most }
        let asked = members.values.filter(\.isOfLeader)
        return asked.count >= 2 * most || asked.count { $0.member.id == leader } >= most
    }

    /// Whether no check may wait for this leader's word. See `mostChecks`.
    func hasMostChecks(of leader: NodeID) -> Bool {
        guard checks.count >= Self.mostChecks else { return false }
        return checks.count >= 2 * Self.mostChecks
            || checks.values.count { $0.leader == leader } >= Self.mostChecks
    }

    /// How long a question may take.
    /// - Parameter deadline: of the client.
    static func time(until deadline: MonotonicTime, now: MonotonicTime) -> Duration {
        min(max(.milliseconds(1), deadline - now), longestQuestion)
    }

    /// - Parameter own: this node's own description, if it is among them.
    mutating func begin(_ survey: Survey, own: NodeDescription?, asking: [PeerCallID: Member]) {
        lastSurvey += 1
        var survey = survey
        if let own {
            survey.found.append(own)
            ownDescriptions += 1
        }
        surveys[lastSurvey] = survey
        for (call, member) in asking {
            members[call] = Question(
                survey: lastSurvey, member: member, isOfLeader: survey.isOfLeader)
        }
    }

    /// - Returns: the answer that is complete with this one.
    mutating func surveyed(
        _ call: PeerCallID, _ result: PeerResult, now: MonotonicTime
    ) -> ClientAnswer? {
        guard let asked = members.removeValue(forKey: call), var survey = surveys[asked.survey]
        else { return nil }
        survey.found.append(Self.describe(asked.member, survey, result, now))
        surveys[asked.survey] = survey
        return finish(asked.survey)
    }

    /// - Returns: the answer, if nobody else is waited for.
    mutating func finishLast() -> ClientAnswer? { finish(lastSurvey) }

    private mutating func finish(_ number: UInt64) -> ClientAnswer? {
        guard let survey = surveys[number], survey.found.count >= survey.expected else {
            return nil
        }
        surveys[number] = nil
        let found = survey.found.sorted { $0.id < $1.id }
        guard survey.isOfLeader else { return ClientAnswer(survey.key, .nodes(found)) }
        return ClientAnswer(
            survey.key, found.first.map { .leader($0) } ?? .failed(.noLeader(waitingFor: "")))
    }

    private static func describe(
        _ member: Member, _ survey: Survey, _ result: PeerResult, _ now: MonotonicTime
    ) -> NodeDescription {
        var description = NodeDescription(
            id: member.id, apiURL: nil, address: member.address, version: "",
            isVoter: member.suffrage == .voter, isReachable: false, isLeader: false,
            elapsed: nil, error: nil)
        switch result {
        case .success(.hello(let hello)) where hello.identity.id == member.id:
            description.apiURL = hello.apiURL
            description.version = hello.versions.program
            description.isReachable = true
            description.isLeader = member.id == survey.leader
            description.elapsed = now - survey.begun
        case .success(.hello(let hello)):
            description.error = "node \(hello.identity.id) answers at \(member.address)"
        case .success: description.error = "\(member.address) gave no hello"
        case .failure(let failure) where failure.isTimeout:
            description.error = "timeout waiting for node to respond"
        case .failure(let failure): description.error = "\(failure)"
        }
        return description
    }

    // MARK: Readiness

    mutating func begin(_ check: Check, call: PeerCallID) { checks[call] = check }

    /// The check that waited for this answer; nil where nobody waits for it any more.
    mutating func checked(_ call: PeerCallID) -> Check? {
        guard let check = checks.removeValue(forKey: call), check.isWanted else { return nil }
        return check
    }

    /// Clients have gone. What they had asked stays open, and counts until it is answered; then nothing comes of it.
    mutating func cancelled(_ gone: Set<RequestKey>) {
        checks = checks.mapValues { check in
            var check = check
            if gone.contains(check.pending.key) { check.isWanted = false }
            return check
        }
    }
}
