import PluginABI

/// What an instance is made from, before it is in the plugin's memory.
struct InstanceArguments: Sendable {
    var mode: String
    var key: String
    var config: [UInt8]
    /// Tells instances apart in logs.
    var instance = "harness-1"
    /// Whether an absent configuration has an address.
    var emptyConfigHasAddress = false

    static let raftPort = 4002
    static let nodeID = "node 1/ä"
    static let raftAddress = "10.99.0.1:4002"
    static let apiURL = "http://10.99.0.1:4001"
}

/// The same, in guarded memory: read-only, and gone once it is taken back.
final class LentArguments: Sendable {
    /// Bytes after the struct's end, as a later version of the header would have them.
    private static let growth = 64

    private let parts: [GuardedMemory]
    private let whole: GuardedMemory

    init(_ arguments: InstanceArguments) {
        parts =
            [
                arguments.mode, arguments.key, InstanceArguments.nodeID, arguments.instance,
                InstanceArguments.raftAddress, InstanceArguments.apiURL,
            ].map { GuardedMemory(Array($0.utf8)) } + [GuardedMemory(arguments.config)]
        var config = parts[6].bytes
        if config.length == 0, !arguments.emptyConfigHasAddress { config.data = nil }
        let table = rqd_create_args(
            size: UInt32(MemoryLayout<rqd_create_args>.size + Self.growth), reserved: 0,
            mode: parts[0].text, key: parts[1].text, config: config, node_id: parts[2].text,
            instance: parts[3].text, raft_adv: parts[4].text, api_url: parts[5].text)
        let bytes = withUnsafeBytes(of: table) { Array($0) }
        whole = GuardedMemory(bytes + [UInt8](repeating: 0xAA, count: Self.growth))
    }

    var pointer: UnsafePointer<rqd_create_args>? {
        whole.bytes.data.map {
            UnsafeRawPointer($0).assumingMemoryBound(to: rqd_create_args.self)
        }
    }

    func takeBack() {
        for part in parts { part.takeBack() }
        whole.takeBack()
    }
}
