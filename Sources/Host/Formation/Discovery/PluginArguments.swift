import PluginABI

/// What an instance is made from.
package struct PluginArguments: Sendable {
    /// `-disco-key`
    package var key: String
    /// `-disco-config`, byte for byte; empty if absent.
    package var config: [UInt8]
    /// The ID that the node has, or will have.
    package var nodeID: String
    /// `host:port` that the node advertises to its peers.
    package var raftAddress: String
    /// Stands in for port 0 in what a resolver answers.
    package var raftPort: UInt16
    /// Full URL of the advertised HTTP API.
    package var apiURL: String
    /// Of this program, for plugins that ask.
    package var hostVersion = "unknown"

    /// - Parameters: see the properties. `raft` is the advertised Raft address, whole, and its
    ///   port.
    package init(
        key: String, config: [UInt8], nodeID: String, raft: (address: String, port: UInt16),
        apiURL: String
    ) {
        self.key = key
        self.config = config
        self.nodeID = nodeID
        raftAddress = raft.address
        raftPort = raft.port
        self.apiURL = apiURL
    }

    /// Lends the ABI's struct. All strings stand in one piece of memory, which a call that never
    /// returns keeps for ever, as it must.
    func withABI<Result>(
        mode: String, instance: String, _ body: (UnsafePointer<rqd_create_args>) -> Result
    ) -> Result {
        let parts = [mode, key, nodeID, instance, raftAddress, apiURL].map { Array($0.utf8) }
        let memory = parts.joined() + config
        return memory.withUnsafeBufferPointer { buffer in
            var offset = 0
            func next(_ count: Int) -> UnsafePointer<UInt8>? {
                defer { offset += count }
                return buffer.baseAddress.map { $0 + offset }
            }
            let texts = parts.map { part in
                rqd_text(
                    data: next(part.count).map {
                        UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)
                    }, length: UInt64(part.count))
            }
            var arguments = rqd_create_args(
                size: UInt32(MemoryLayout<rqd_create_args>.size), reserved: 0, mode: texts[0],
                key: texts[1],
                config: rqd_bytes(data: next(config.count), length: UInt64(config.count)),
                node_id: texts[2], instance: texts[3], raft_adv: texts[4], api_url: texts[5])
            return body(&arguments)
        }
    }
}
