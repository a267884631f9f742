package import Raft

/// What the record `nodes/<node ID>` says: each node keeps its own true for as long as it lives.
///
///     {"id":"2","incarnation":"<32 hexadecimal digits>","cluster":"<32 hexadecimal digits>",
///      "addr":"h2:4002","api_addr":"http://h2:4001","suffrage":"voter","expect":3}
///
/// `cluster` is left out while the node is in none, `api_addr` and `expect` (0) where they are
/// empty. Unknown members are skipped.
package struct NodeRecord: Equatable, Sendable {
    /// Whose record it is.
    package var identity: NodeIdentity
    /// Nil while the node is in no cluster.
    package var cluster: ClusterID?
    /// The advertised Raft address.
    package var address: PeerAddress
    /// Full URL of its HTTP API.
    package var apiURL: String?
    /// `voter` or `nonvoter`: what the node is, or wants to be.
    package var suffrage: Suffrage
    /// `-bootstrap-expect`; 0 without it.
    package var expect: Int

    package init(
        identity: NodeIdentity, cluster: ClusterID?, address: PeerAddress, apiURL: String?,
        suffrage: Suffrage, expect: Int
    ) {
        self.identity = identity
        self.cluster = cluster
        self.address = address
        self.apiURL = apiURL
        self.suffrage = suffrage
        self.expect = expect
    }
}
