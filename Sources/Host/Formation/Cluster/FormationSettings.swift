package import Raft

/// What a formation needs to know of its node, and its times.
package struct FormationSettings: Equatable, Sendable {
    /// When a node without cluster state gives up. A node with state never does.
    package enum Limit: Equatable, Sendable {
        case none
        /// `-bootstrap-expect-timeout`, from the start of the formation.
        case time(Duration)
        /// `-join-attempts` at every address with `-join-interval` between them.
        case attempts(Int, interval: Duration)
    }

    /// With expect 0 the node only joins.
    package var introduction: FormationIntroduction
    /// When the node gives up to find or found a cluster.
    package var limit: Limit
    /// Between two passes over a candidate, with a fifth of it as jitter to either side.
    package var passInterval: Duration = .seconds(1)
    /// An unreachable candidate is tried again after 100 to 200 ms for this long.
    package var eagerPeriod: Duration = .seconds(5)
    /// A hello without answer or error is sent again after this.
    package var answerPatience: Duration = .seconds(2)
    /// What a candidate has said is forgotten when it has been silent for so long.
    package var silenceLimit: Duration = .milliseconds(3_500)
    /// A fresh node waits at most so long for slow candidates before it proposes: one of them might
    /// know a cluster to join.
    package var joinFirst: Duration = .milliseconds(200)
    /// The voters propose in the order of their IDs, so far apart.
    package var turn: Duration = .milliseconds(30)
    /// How long a ballot may take before its proposer begins a higher one.
    package var ballotPatience: Duration = .seconds(1)
    /// Between two sendings of a ballot's messages to those who have not answered.
    package var resendInterval: Duration = .milliseconds(150)
    /// A contradiction between nodes that lasts so long ends the process.
    package var refusalPatience: Duration = .seconds(5)
    /// Which rules are kept: all, unless a simulation breaks one.
    package var rules = RuleBook()

    /// What an operator types to drop addresses, but for the JSON array of them that comes last. Empty:
    /// only the addresses are said.
    package var dropCommand = ""

    package init(_ introduction: FormationIntroduction, limit: Limit) {
        self.introduction = introduction
        self.limit = limit
    }
}
