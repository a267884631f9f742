import PluginABI

/// The host's sink of one call.
struct Sink {
    private let sink: UnsafePointer<rqd_sink>

    init(_ sink: UnsafePointer<rqd_sink>) { self.sink = sink }

    /// Turns what a body throws into a status and a message.
    func report(_ body: () throws(CallFailure) -> Void) -> rqd_code {
        do {
            try body()
            return RQD_OK
        } catch {
            rqd_text.lend(error.message) { _ = sink.pointee.message?(sink, $0) }
            return error.code
        }
    }

    /// What is over a limit the host refuses by itself.
    func emit(_ address: FoundAddress) {
        rqd_text.lend(address.host) { host in
            rqd_text.lend(Self.cut(address.source)) { source in
                var found = rqd_address()
                found.size = UInt32(MemoryLayout<rqd_address>.size)
                found.port = UInt32(address.port)
                found.host = host
                found.source = source
                found.priority = UInt32(address.priority)
                found.weight = UInt32(address.weight)
                found.ttl_s = address.timeToLive
                _ = sink.pointee.address?(sink, &found)
            }
        }
    }

    /// A long list of servers must not cost the address.
    private static func cut(_ source: String) -> String {
        var kept = source
        while kept.utf8.count > Int(RQD_MAX_SOURCE) { kept.removeLast() }
        return kept
    }

    /// As with addresses, limits are the host's to check.
    func emit(_ record: RegistryRecord) {
        rqd_text.lend(record.name) { name in
            rqd_bytes.lend(record.value) { value in
                rqd_bytes.lend(record.revision) { revision in
                    var found = rqd_record()
                    found.size = UInt32(MemoryLayout<rqd_record>.size)
                    found.name = name
                    found.value = value
                    found.revision = revision
                    _ = sink.pointee.record?(sink, &found)
                }
            }
        }
    }

    func emit(token: [UInt8]) {
        rqd_bytes.lend(token) { _ = sink.pointee.token?(sink, $0) }
    }

    func emit(text: String) {
        rqd_text.lend(text) { _ = sink.pointee.text?(sink, $0) }
    }
}

extension rqd_text {
    static func lend<Result>(_ text: String, _ body: (rqd_text) -> Result) -> Result {
        let bytes = text.utf8.map { CChar(bitPattern: $0) }
        return bytes.withUnsafeBufferPointer {
            body(rqd_text(data: $0.baseAddress, length: UInt64($0.count)))
        }
    }
}

extension String {
    init(_ text: rqd_text) {
        let raw = UnsafeRawBufferPointer(start: text.data, count: Int(text.length))
        self.init(decoding: raw, as: UTF8.self)
    }
}

extension rqd_bytes {
    static func lend<Result>(_ bytes: [UInt8], _ body: (rqd_bytes) -> Result) -> Result {
        bytes.withUnsafeBufferPointer {
            body(rqd_bytes(data: $0.baseAddress, length: UInt64($0.count)))
        }
    }
}

extension [UInt8] {
    init(_ bytes: rqd_bytes) {
        self.init(UnsafeBufferPointer(start: bytes.data, count: Int(bytes.length)))
    }
}
