import PluginABI

/// The results of a call on their way between processes. The node checks what comes out of the other
/// process by the rules for what comes out of a plugin: the code that does is the same.
extension CallResults {
    /// What was handed over, as frames, in the order in which it must be taken.
    var contents: [PluginFrame.Content] {
        var contents: [PluginFrame.Content] = addresses.map { .address($0) }
        contents += records.map { .record($0) }
        if !token.isEmpty { contents.append(.token(token)) }
        if let text { contents.append(.text(text)) }
        if !message.isEmpty { contents.append(.message(message)) }
        if let violation { contents.append(.violation(violation)) }
        return contents
    }

    /// False if the frame is none of a result.
    mutating func take(_ content: PluginFrame.Content) -> Bool {
        switch content {
        case .address(let address): take(address)
        case .record(let record):
            // The process took them page by page; here the bound is that of all pages.
            beginPage()
            take(record)
        case .token(let token): ABI.lend(token) { _ = take(token: $0) }
        case .text(let text): ABI.lend(text) { _ = take(text: $0) }
        case .message(let text): ABI.lend(text) { _ = take(message: $0) }
        case .violation(let what): _ = violate(String(what.prefix(Int(RQD_MAX_MESSAGE))))
        default: return false
        }
        return true
    }

    private mutating func take(_ address: DiscoveredAddress) {
        ABI.lend(address.host) { host in
            ABI.lend(address.source) { source in
                let seconds = address.timeToLive?.components.seconds ?? 0
                var copy = rqd_address(
                    size: UInt32(MemoryLayout<rqd_address>.size), port: UInt32(address.port),
                    host: host, source: source, priority: address.priority,
                    weight: address.weight, ttl_s: UInt32(clamping: seconds), reserved: 0)
                _ = take(&copy)
            }
        }
    }

    private mutating func take(_ record: RegistryRecord) {
        ABI.lend(record.name) { name in
            ABI.lend(record.value) { value in
                ABI.lend(record.revision) { revision in
                    var copy = rqd_record(
                        size: UInt32(MemoryLayout<rqd_record>.size), reserved: 0, name: name,
                        value: value, revision: revision)
                    _ = take(&copy)
                }
            }
        }
    }
}
