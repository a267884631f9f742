package import Cluster

/// What a formation through a registry needs to know of its node, and its times.
package struct RegistryFormationSettings: Equatable, Sendable {
    /// `expect` is `-bootstrap-expect`; with 0 or 1 a voter may found a cluster alone.
    package var introduction: FormationIntroduction
    package var apiURL: String?
    /// `-bootstrap-expect-timeout`: without a cluster the process ends then. Nil: it waits for ever.
    package var limit: Duration?
    /// What an operator types to repair the registry by hand, but for the last flag.
    package var clearCommand = "rqlited disco clear"

    /// Found a cluster in the place of one whose nodes all answer as empty. Off unless the operator
    /// says so: volumes that were not mounted look the same.
    package var foundsAnew = false

    /// Between two looks at the registry, with a fifth of it as jitter to either side.
    package var lookInterval: Duration = .seconds(1)
    /// The same for as long as `eagerPeriod` from the start: nodes that are launched together see
    /// each other's records soon.
    package var eagerLookInterval: Duration = .milliseconds(100)
    package var eagerPeriod: Duration = .seconds(5)
    /// An entry counts as absent when two looks, this far apart, have shown none. The time in which
    /// a leader puts a lost entry back is not waited for here, but with `probation`: until then a
    /// claim binds nobody.
    package var absence: Duration = .zero
    /// A claim has to stand so long before it is completed, and twice as long on top as the registry
    /// has ever taken for an answer to this node. A leader that finds one in the place of its entry,
    /// or none, replaces it sooner: at worst it has a request that hangs (`RegistryPatience.shortest`,
    /// 250 ms), pauses (60 ms), reads, and its write is on the way.
    package var probation: Duration = .milliseconds(350)
    /// The same where the registry has failed since this node began to look: it may have lost its
    /// records, and its leader may be slower to find it again.
    package var probationAfterFailure: Duration = .milliseconds(1_500)
    /// A `forming` entry whose revision stays the same for so long is given up by its owner.
    package var takeover: Duration = .seconds(15)
    /// A claim is written only so soon after the look that allows it; else there is another look.
    package var freshness: Duration = .milliseconds(500)
    /// What a node has said is forgotten when it has been silent for so long.
    package var silenceLimit: Duration = .milliseconds(3_500)
    /// A contradiction between nodes that lasts so long ends the process.
    package var refusalPatience: Duration = .seconds(5)
    /// Longest time of one request to the registry.
    package var requestTimeout: Duration = .seconds(3)

    package init(_ introduction: FormationIntroduction, apiURL: String?, limit: Duration?) {
        self.introduction = introduction
        self.apiURL = apiURL
        self.limit = limit
    }
}
