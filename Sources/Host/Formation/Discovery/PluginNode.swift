import PluginABI

/// What a node tells a plugin of itself: see `rqd_node` in the header. A state, not an event: who was
/// told late has missed nothing.
package struct PluginNode: Equatable, Sendable {
    /// `RQD_NODE_*`
    package struct Flags: OptionSet, Equatable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Is a member of a cluster.
        package static let joined = Flags(rawValue: RQD_NODE_JOINED)
        /// Has a vote in it.
        package static let voter = Flags(rawValue: RQD_NODE_VOTER)
        /// Is its leader.
        package static let leads = Flags(rawValue: RQD_NODE_LEADS)
        /// Serves requests, as `/readyz` has it.
        package static let ready = Flags(rawValue: RQD_NODE_READY)
        /// Stops.
        package static let leaving = Flags(rawValue: RQD_NODE_LEAVING)
    }

    package var flags: Flags
    /// The one that is stored.
    package var nodeID: String
    /// `host:port` that the node advertises to its peers.
    package var raftAddress: String
    /// Full URL of the advertised HTTP API.
    package var apiURL: String
    /// One line for operators: why the node isn't ready; empty if it is.
    package var health: String
    /// Words for a service's entry, by what the flags say.
    package let tags: [String]

    /// Texts beyond the header's limit are cut.
    package init(
        flags: Flags, nodeID: String, raftAddress: String, apiURL: String, health: String
    ) {
        self.flags = flags
        self.nodeID = nodeID
        self.raftAddress = raftAddress
        self.apiURL = apiURL
        self.health = Self.cut(health)
        tags = Self.tags(of: flags)
    }

    private static func tags(of flags: Flags) -> [String] {
        guard flags.contains(.joined) else { return [] }
        var tags = [
            flags.contains(.leads) ? "leader" : "follower",
            flags.contains(.voter) ? "voter" : "non-voter",
        ]
        if flags.contains(.ready) { tags.append("ready") }
        return tags
    }

    private static func cut(_ text: String) -> String {
        var kept = text
        while kept.utf8.count > Int(RQD_MAX_TEXT) { kept.removeLast() }
        return kept
    }

    /// Lends the ABI's struct.
    func withABI<Result>(
        changed: Flags, _ body: (UnsafePointer<rqd_node>) -> Result
    ) -> Result {
        let parts = [nodeID, raftAddress, apiURL, health] + tags
        let lengths = parts.map(\.utf8.count)
        let memory = parts.flatMap { Array($0.utf8) }.map { CChar(bitPattern: $0) }
        return memory.withUnsafeBufferPointer { buffer in
            var offset = 0
            let texts = lengths.map { length in
                defer { offset += length }
                return rqd_text(
                    data: buffer.baseAddress.map { $0 + offset }, length: UInt64(length))
            }
            return Array(texts[4...]).withUnsafeBufferPointer { tags in
                var node = rqd_node(
                    size: UInt32(MemoryLayout<rqd_node>.size), flags: flags.rawValue,
                    changed: changed.rawValue, tag_count: UInt32(tags.count), node_id: texts[0],
                    raft_adv: texts[1], api_url: texts[2], health: texts[3],
                    tags: tags.baseAddress)
                return body(&node)
            }
        }
    }
}
