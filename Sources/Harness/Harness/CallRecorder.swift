import CHarness
import Glibc
import HarnessBackends
import PluginABI
import Synchronization

/// One call from the plugin's side: the structs it is given, and all it does with them.
///
/// `@unchecked Sendable`: the pointers are constants whose targets do not change after `init`, and
/// everything that changes is behind a lock.
final class CallRecorder: @unchecked Sendable {
    /// Bytes after each struct's end, as a later version of the header would have them.
    private static let growth = 64
    /// Results of one call that are kept; far beyond the header's limits.
    private static let mostResults = 10_000

    private struct State {
        var results = CallResults()
        var owner: pthread_t?
        var isOpen = true
    }

    let call: UnsafeMutablePointer<rqd_call>
    let sink: UnsafeMutablePointer<rqd_sink>
    let cancelDescriptor: Int32
    private let state = Mutex(State())
    private let isCancelled = Atomic(false)

    init(deadline: UInt64) {
        cancelDescriptor = charness_event()
        call = Self.allocate(rqd_call.self)
        sink = Self.allocate(rqd_sink.self)
        let context = Unmanaged.passUnretained(self).toOpaque()
        call.initialize(
            to: rqd_call(
                size: UInt32(MemoryLayout<rqd_call>.size + Self.growth),
                cancel_fd: cancelDescriptor, ctx: context, deadline_ns: deadline,
                cancelled: { call in
                    CallRecorder.of(call?.pointee.ctx)?.isCancelled.load(ordering: .acquiring)
                        == true ? 1 : 0
                }))
        sink.initialize(to: Self.sink(context))
    }

    deinit {
        UnsafeMutableRawPointer(call).deallocate()
        UnsafeMutableRawPointer(sink).deallocate()
        if cancelDescriptor >= 0 { close(cancelDescriptor) }
    }

    /// To be called on the thread that makes the call, before it.
    func open() { state.withLock { $0.owner = pthread_self() } }

    /// The call has returned. What still comes is a stray use.
    func finish() -> CallResults {
        state.withLock { state in
            state.isOpen = false
            return state.results
        }
    }

    /// What came after `finish`, too.
    var results: CallResults { state.withLock { $0.results } }

    func cancel() {
        isCancelled.store(true, ordering: .releasing)
        var one: UInt64 = 1
        // A descriptor that the plugin closed is noticed by the check for it.
        _ = write(cancelDescriptor, &one, 8)
    }

    private static func allocate<Table>(_: Table.Type) -> UnsafeMutablePointer<Table> {
        let size = MemoryLayout<Table>.size + growth
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
        memory.initializeMemory(as: UInt8.self, repeating: 0xAA, count: size)
        return memory.bindMemory(to: Table.self, capacity: 1)
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> CallRecorder? {
        context.map { Unmanaged<CallRecorder>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func sink(_ context: UnsafeMutableRawPointer) -> rqd_sink {
        rqd_sink(
            size: UInt32(MemoryLayout<rqd_sink>.size + growth), reserved: 0, ctx: context,
            message: { sink, message in
                CallRecorder.of(sink?.pointee.ctx)?.take("message") { $0.take(message: message) }
                    ?? RQD_PROTOCOL
            },
            address: { sink, address in
                guard let address else { return RQD_PROTOCOL }
                return CallRecorder.of(sink?.pointee.ctx)?.take("address") { $0.take(address) }
                    ?? RQD_PROTOCOL
            },
            record: { sink, record in
                guard let record else { return RQD_PROTOCOL }
                return CallRecorder.of(sink?.pointee.ctx)?.take("record") { $0.take(record) }
                    ?? RQD_PROTOCOL
            },
            token: { sink, token in
                CallRecorder.of(sink?.pointee.ctx)?.take("token") { $0.take(token: token) }
                    ?? RQD_PROTOCOL
            },
            text: { sink, text in
                CallRecorder.of(sink?.pointee.ctx)?.take("text") { $0.take(text: text) }
                    ?? RQD_PROTOCOL
            })
    }

    private func take(_ member: String, _ body: (inout CallResults) -> rqd_code) -> rqd_code {
        state.withLock { state in
            if !state.isOpen {
                state.results.strayUses.append("\(member) was called after the call had returned")
            } else if let owner = state.owner, pthread_equal(owner, pthread_self()) == 0 {
                state.results.strayUses.append("\(member) was called on another thread")
            }
            let count = state.results.addresses.count + state.results.records.count
            guard count < Self.mostResults else { return RQD_PROTOCOL }
            return body(&state.results)
        }
    }
}

/// Results as the header wants them; what is not so is noted in words.
extension CallResults {
    mutating func take(message: rqd_text) -> rqd_code {
        // Longer ones are allowed: the host cuts them.
        let count = Int(min(message.length, UInt64(RQD_MAX_MESSAGE)))
        guard count == 0 || message.data != nil else {
            _ = wrong("a message of \(message.length) bytes at address 0")
            return RQD_OK
        }
        let bytes = message.data.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
        self.message = bytes ?? []
        if count == message.length, !Self.isText(bytes ?? []) {
            _ = wrong("a message that is not UTF-8, or holds a NUL")
        }
        return RQD_OK
    }

    mutating func take(_ address: UnsafePointer<rqd_address>) -> rqd_code {
        // The port stands in the first 8 bytes, the host in the first 24.
        guard address.pointee.size >= 24 else {
            return wrong("an address whose size is \(address.pointee.size)")
        }
        let known = address.pointee.size >= 56
        guard let host = text(address.pointee.host, RQD_MAX_HOST, "a host") else {
            return RQD_PROTOCOL
        }
        let source = known ? address.pointee.source : rqd_text(data: nil, length: 0)
        guard let source = text(source, RQD_MAX_SOURCE, "the source of \(host)") else {
            return RQD_PROTOCOL
        }
        guard address.pointee.port <= 65535 else {
            return wrong("\(host) with the port \(address.pointee.port)")
        }
        guard HostName.isValid(host) else {
            return wrong("\"\(host)\", which is neither a host name nor an IP address")
        }
        addresses.append(FoundAddress(host: host, port: address.pointee.port, source: source))
        guard addresses.count <= RQD_MAX_ADDRESSES else {
            return exceeded("over \(RQD_MAX_ADDRESSES) addresses")
        }
        return RQD_OK
    }

    mutating func take(_ record: UnsafePointer<rqd_record>) -> rqd_code {
        guard record.pointee.size >= 56 else {
            return wrong("a record whose size is \(record.pointee.size)")
        }
        guard let name = text(record.pointee.name, RQD_MAX_NAME, "a record's name"),
            let value = bytes(record.pointee.value, RQD_MAX_VALUE, "the value of \(name)"),
            let revision = bytes(
                record.pointee.revision, RQD_MAX_REVISION, "the revision of \(name)")
        else { return RQD_PROTOCOL }
        guard !revision.isEmpty else { return wrong("the record \(name) without a revision") }
        records.append(FoundRecord(name: name, value: value, revision: revision))
        guard records.count <= RQD_MAX_RECORDS else {
            return exceeded("over \(RQD_MAX_RECORDS) records")
        }
        return RQD_OK
    }

    mutating func take(token: rqd_bytes) -> rqd_code {
        guard let token = bytes(token, RQD_MAX_TOKEN, "a token") else { return RQD_PROTOCOL }
        self.token = token
        return RQD_OK
    }

    mutating func take(text: rqd_text) -> rqd_code {
        guard let text = self.text(text, RQD_MAX_DESCRIBE, "the description") else {
            return RQD_PROTOCOL
        }
        self.text = Array(text.utf8)
        return RQD_OK
    }

    private mutating func text(_ text: rqd_text, _ limit: UInt32, _ what: String) -> String? {
        let raw = rqd_bytes(
            data: text.data.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) },
            length: text.length)
        guard let bytes = bytes(raw, limit, what) else { return nil }
        guard Self.isText(bytes) else {
            _ = wrong("\(what) that is not UTF-8, or holds a NUL")
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func bytes(_ bytes: rqd_bytes, _ limit: UInt32, _ what: String) -> [UInt8]? {
        guard bytes.length <= limit else {
            _ = exceeded("\(what) of \(bytes.length) bytes, where \(limit) are allowed")
            return nil
        }
        guard bytes.length > 0 else { return [] }
        guard let data = bytes.data else {
            _ = wrong("\(what) of \(bytes.length) bytes at address 0")
            return nil
        }
        return Array(UnsafeBufferPointer(start: data, count: Int(bytes.length)))
    }

    private mutating func wrong(_ what: String) -> rqd_code {
        malformed.append(what)
        return RQD_PROTOCOL
    }

    private mutating func exceeded(_ what: String) -> rqd_code {
        overLimit.append(what)
        return RQD_PROTOCOL
    }

    static func isText(_ bytes: [UInt8]) -> Bool {
        !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
    }
}
