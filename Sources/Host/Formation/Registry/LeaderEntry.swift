package import Raft

/// What the record `leader` says: where the cluster's leader is, and how far the cluster has come
/// into being. JSON, without white space; rqlite's three members come first and in its order:
///
///     {"id":"1","api_addr":"http://h1:4001","addr":"h1:4002",
///      "cluster":"<32 hexadecimal digits>","state":"formed","nonce":"<32 hexadecimal digits>",
///      "term":3,"members":[{"id":"1","incarnation":"<32 hexadecimal digits>","addr":"h1:4002"}]}
///
/// `api_addr`, `term` (0) and `members` are left out where they are empty. Unknown members are
/// skipped: a newer version may have written them.
package struct LeaderEntry: Equatable, Sendable {
    /// Whether the cluster exists.
    package enum State: String, Sendable {
        /// Somebody is about to found the cluster; it has no state yet.
        case forming
        /// The cluster exists, or its founder is about to start it and nobody else may found one.
        case formed
    }

    /// The node that leads, or that claims to found the cluster.
    package var id: NodeID
    /// Full URL of the leader's HTTP API.
    package var apiURL: String?
    /// The leader's Raft address.
    package var address: PeerAddress
    /// Which cluster it is.
    package var cluster: ClusterID
    /// Whether the cluster exists.
    package var state: State
    /// Made by whoever wrote the entry, for a claim or for a run of its process.
    package var nonce: RandomID
    /// Zero until the cluster has had a leader. An entry of a later term is the truer one.
    package var term: Term
    /// The voters that found the cluster. Kept by later leaders: a founder that was down can still
    /// start as the member it is.
    package var founders: [Member]

    package init(
        id: NodeID, apiURL: String?, address: PeerAddress, cluster: ClusterID, state: State,
        nonce: RandomID, term: Term, founders: [Member]
    ) {
        self.id = id
        self.apiURL = apiURL
        self.address = address
        self.cluster = cluster
        self.state = state
        self.nonce = nonce
        self.term = term
        self.founders = founders
    }
}

/// What stands in the record `leader`, whoever wrote it.
package enum LeaderContent: Equatable, Sendable {
    case entry(LeaderEntry)
    /// Written by rqlite: there is a cluster, but not which.
    case foreign(id: String, apiURL: String, address: String)
    /// Not what any version known to this one writes, and why.
    case unreadable(String)
}
